import CDFMergeShims
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

  /// `x^p`.
  @inline(__always)
  package func callAsFunction(_ x: SIMD8<Double>) -> SIMD8<Double> {
    let (logarithm, whole) = splitLogarithm(x)
    let result = powerOfTwo((logarithm + whole) * exponent)
    if dfmk_all_in(x, lowest, highest) { return result }
    return unusualPower(x, exponent)
  }
}

/// `log2 x = logarithm + exponent` for normal positive `x`, with `x = 2^exponent m` and
/// `sqrt(1/2) <= m < sqrt(2)`. Absolute error 1.8e-10.
@inline(__always)
private func splitLogarithm(_ x: Doubles) -> (Doubles, Doubles) {
  // Bits of 1 and of sqrt(1/2): their difference moves the cut between exponents to sqrt(1/2).
  let one: UInt64 = 0x3ff0_0000_0000_0000
  let root: UInt64 = 0x3fe6_a09e_0000_0000
  let shifted = unsafeBitCast(x, to: SIMD8<UInt64>.self) &+ (one &- root)
  let m = unsafeBitCast((shifted & 0x000f_ffff_ffff_ffff) &+ root, to: Doubles.self)
  // The exponent, as the last bits of 2^52: turned into a double without an integer conversion.
  let biased = unsafeBitCast((shifted &>> 52) | 0x4330_0000_0000_0000, to: Doubles.self)
  let exponent = biased - (0x1p52 + 1023)
  // log2 m = s Q(s^2), s = (m - 1) / (m + 1): the series of the inverse hyperbolic tangent.
  let s = (m - 1) / (m + 1)
  let z = s * s
  var q = z * 0x1.bcae30a418d8dp-2
  q = (q + 0x1.27361363760c4p-1) * z
  q = (q + 0x1.ec712636d8737p-1) * z
  return ((q + 0x1.7154763f54338p+1) * s, exponent)
}

/// `2^y` for `|y| < 1021`. Relative error 1.9e-9.
@inline(__always)
private func powerOfTwo(_ y: Doubles) -> Doubles {
  // Adding 1.5 * 2^52 rounds to an integer k and leaves it in the last bits.
  let magic = 0x1.8p52
  let t = y + magic
  let f = y - (t - magic)
  var e = f * 0x1.41d3336d7c231p-13
  e = (e + 0x1.5f456a8ac5032p-10) * f
  e = (e + 0x1.3b2dbbc0f9f36p-7) * f
  e = (e + 0x1.c6aed4b950eb4p-5) * f
  e = (e + 0x1.ebfbdadcb0c30p-3) * f
  e = (e + 0x1.62e430c7e9238p-1) * f
  e = e + 0x1.00000002614ffp+0
  // Times 2^k: k is added to the exponent's bits; what is above it in t is shifted out.
  let k = unsafeBitCast(t, to: SIMD8<UInt64>.self) &<< 52
  return unsafeBitCast(unsafeBitCast(e, to: SIMD8<UInt64>.self) &+ k, to: Doubles.self)
}

/// The numbers of a vector one by one, where some need care.
@inline(never)
private func unusualPower(_ x: Doubles, _ p: Double) -> Doubles {
  var result = Doubles(repeating: .nan)
  for lane in 0..<8 {
    let value = x[lane]
    if value == 0 || value == .infinity {
      result[lane] = (value == 0) == (p > 0) ? 0 : .infinity
    } else if value > 0 {
      // Subnormal numbers are made normal first.
      let scale = value < 0x1p-1022 ? 54.0 : 0.0
      let (logarithm, whole) = splitLogarithm(Doubles(repeating: value * (scale > 0 ? 0x1p54 : 1)))
      let y = (logarithm[0] + (whole[0] - scale)) * p
      if y > -1021, y < 1021 {
        result[lane] = powerOfTwo(Doubles(repeating: y))[0]
      } else {
        // Two factors reach to both ends of the range, and beyond them give 0 and infinity.
        let half = powerOfTwo(Doubles(repeating: max(min(y * 0.5, 1000), -1000)))[0]
        result[lane] = half * half
      }
    }
  }
  return result
}
