import CDFMergeShims

/// Powers `x^p` for `0 < p < 1`, in float: weights for results of F32 and narrower.
///
/// Error, relative: at most 2.5e-7, wherever `x` is a normal number of float; other numbers are
/// left to `unusualPower`. Special cases as in `VectorPower` of `DFMergeKernels`.
///
/// `x = 2^e m` with `sqrt(1/2) <= m < sqrt(2)`, and `x^p = 2^k 2^f` with `k + f = p e + p log2 m`.
/// The product `p e` needs more digits than a float has where `e` is large: `p` is split in two
/// parts, of which the first has sixteen bits, so that its product is exact.
@inline(__always)
func temper(_ x: StepDoubles, _ exponent: Double) -> StepDoubles {
  let narrow = dfmk_narrowed(x)
  let raised = dfmk_widened(power(of: narrow, exponent))
  guard !dfmk_are_in(narrow, 0x1p-126, .greatestFiniteMagnitude) else { return raised }
  var values = x
  var results = raised
  withUnsafeMutableBytes(of: &values) { values in
    withUnsafeMutableBytes(of: &results) { results in
      guard let from = values.baseAddress, let to = results.baseAddress else { return }
      replaceUnusual(from, to, exponent)
    }
  }
  return results
}

@inline(__always)
private func power(of x: StepFloats, _ exponent: Double) -> StepFloats {
  let p = Float(exponent)
  let first = Float(bitPattern: p.bitPattern & 0xffff_ff00)
  let second = Float(exponent - Double(first))

  // Bits of 1 and of sqrt(1/2): their difference moves the cut between exponents to sqrt(1/2).
  let root: UInt32 = 0x3f35_04f3
  let shifted = unsafeBitCast(x, to: StepWords.self) &+ (0x3f80_0000 &- root)
  let m = unsafeBitCast((shifted & 0x007f_ffff) &+ root, to: StepFloats.self)
  // The exponent, as the last bits of 2^23: turned into a float without an integer conversion.
  let e = unsafeBitCast((shifted &>> 23) | 0x4b00_0000, to: StepFloats.self) - (0x1p23 + 127)
  // log2 m = s Q(s^2), s = (m - 1) / (m + 1): the series of the inverse hyperbolic tangent.
  let s = (m - 1) / (m + 1)
  let z = s * s
  var q = z * 0x1.310b00p-1
  q = (q + 0x1.ec554ap-1) * z
  let logarithm = (q + 0x1.71547ap+1) * s

  let large = e * first
  let small = e * second + logarithm * p
  // Adding 1.5 * 2^23 rounds to an integer k and leaves it in the last bits.
  let magic: Float = 0x1.8p23
  let t = (large + small) + magic
  let f = (large - (t - magic)) + small
  var r = f * 0x1.41fbbap-13
  r = (r + 0x1.5f3e54p-10) * f
  r = (r + 0x1.3b2d4cp-7) * f
  r = (r + 0x1.c6aee8p-5) * f
  r = (r + 0x1.ebfbdcp-3) * f
  r = (r + 0x1.62e430p-1) * f
  r = r + 1
  // Times 2^k: k is added to the exponent's bits; what is above it in t is shifted out.
  let k = unsafeBitCast(t, to: StepWords.self) &<< 23
  return unsafeBitCast(unsafeBitCast(r, to: StepWords.self) &+ k, to: StepFloats.self)
}

/// Puts the powers of numbers that no normal float stands for into `results`, a step of doubles.
@inline(never)
private func replaceUnusual(
  _ values: UnsafeRawPointer, _ results: UnsafeMutableRawPointer, _ exponent: Double
) {
  for k in 0..<stepSize {
    let value = values.load(fromByteOffset: k &* 8, as: Double.self)
    let narrow = Float(value)
    if narrow >= 0x1p-126, narrow <= .greatestFiniteMagnitude { continue }
    results.storeBytes(of: value, toByteOffset: k &* 8, as: Double.self)
    unusualPower(of: results + k &* 8, adding: 0, exponent)
  }
}
