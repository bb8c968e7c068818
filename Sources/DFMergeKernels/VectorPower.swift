import Glibc

/// Powers of non-negative numbers: `x^p = 2^(p log2 x)`, eight at a time.
///
/// The C library's `pow` is not used: it is slower by far and its last bit depends on the CPU.
///
/// Error, for finite results that are normal numbers: at most `2.2e-9 + 1.3e-10 |p|`, relative,
/// plus the rounding of `y = p log2 x`, which is `|y| 2^-53`. Most of it comes from the two
/// polynomials: 1.9e-9 from `2^f` and 1.8e-10 from `log2 m`, which are the minimax polynomials of
/// their degrees.
///
/// Special cases as in IEEE 754's `pow` for a finite `p > 0`: 0 for 0, infinity for infinity, NaN
/// for NaN and for negative numbers (-0 counts as 0); for `p < 0`, infinity for 0 and 0 for
/// infinity.
package struct VectorPower {
  /// `p`.
  package let exponent: Double
  /// Between these, `x` is a normal number and `y` far from the ends of the exponent range.
  private let lowest: Double
  private let highest: Double

  package init(exponent: Double) {
    self.exponent = exponent
    // The bounds choose between two ways to the same bits, so their own error does not matter.
    let range = min(1000 / abs(exponent), 1020)
    lowest = exp2(-range)
    highest = exp2(range)
  }

  /// `x = (x + epsilon)^p` for `count` doubles, a multiple of eight, in place.
  func raise(
    _ values: UnsafeMutableRawPointer, adding epsilon: Double, count: Int,
    loops: any InnerLoopSet.Type
  ) {
    loops.power(
      of: values, adding: epsilon, exponent: exponent, lowest: lowest, highest: highest, n: count)
  }

  /// `x^p`.
  package func callAsFunction(_ x: SIMD8<Double>) -> SIMD8<Double> {
    var values = x
    withUnsafeMutableBytes(of: &values) { bytes in
      guard let start = bytes.baseAddress else { return }
      raise(start, adding: 0, count: 8, loops: CPULevel.current.loops)
    }
    return values
  }
}
