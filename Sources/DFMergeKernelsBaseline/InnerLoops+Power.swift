import CDFMergeShims

extension InnerLoops {
  /// `v = (v + epsilon)^exponent`, in place; see `VectorPower` of `DFMergeKernels`, which knows
  /// `lowest` and `highest`: between them, numbers are normal and so are their powers.
  @inline(never)
  package static func power(
    of values: UnsafeMutableRawPointer, adding epsilon: Double, exponent: Double, lowest: Double,
    highest: Double, n: Int
  ) {
    var i = 0
    while i < n {
      let here = values + i &* 8
      let count = n &- i < blockSize ? n &- i : blockSize
      if areAll(here, count, adding: epsilon, from: lowest, to: highest) {
        multiplyLogarithms(of: here, count, epsilon, exponent)
        exponentiate(here, count)
      } else {
        for k in 0..<count { unusualPower(of: here + k &* 8, adding: epsilon, exponent) }
      }
      i &+= count
    }
  }
}

/// Elements per round of `power`, a multiple of eight. Both halves of a round are long chains of
/// operations, of which a CPU holds few at a time: one after the other, they take two thirds of
/// the time that they take in one loop.
private let blockSize = 64

/// Whether all of `v + epsilon` lie in `lowest ... highest`.
@inline(__always)
private func areAll(
  _ values: UnsafeMutableRawPointer, _ n: Int, adding epsilon: Double, from lowest: Double,
  to highest: Double
) -> Bool {
  var i = 0
  while i < n {
    let x = values.load(fromByteOffset: i &* 8, as: Doubles.self) + epsilon
    guard dfmk_all_in(x, lowest, highest) else { return false }
    i &+= 8
  }
  return true
}

/// `v = exponent * log2(v + epsilon)`, in place.
@inline(__always)
private func multiplyLogarithms(
  of values: UnsafeMutableRawPointer, _ n: Int, _ epsilon: Double, _ exponent: Double
) {
  var i = 0
  while i < n {
    let x = values.load(fromByteOffset: i &* 8, as: Doubles.self) + epsilon
    let (logarithm, whole) = splitLogarithm(x)
    values.storeBytes(
      of: (logarithm + whole) * exponent, toByteOffset: i &* 8, as: Doubles.self)
    i &+= 8
  }
}

/// `v = 2^v`, in place.
@inline(__always)
private func exponentiate(_ values: UnsafeMutableRawPointer, _ n: Int) {
  var i = 0
  while i < n {
    let y = values.load(fromByteOffset: i &* 8, as: Doubles.self)
    values.storeBytes(of: powerOfTwo(y), toByteOffset: i &* 8, as: Doubles.self)
    i &+= 8
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

/// The power of one number that may need care; the same bits as `power` where it needs none.
@inline(never)
func unusualPower(
  of number: UnsafeMutableRawPointer, adding epsilon: Double, _ p: Double
) {
  let value = number.load(as: Double.self) + epsilon
  var result = Double.nan
  if value == 0 || value == .infinity {
    result = (value == 0) == (p > 0) ? 0 : .infinity
  } else if value > 0 {
    // Subnormal numbers are made normal first.
    let scale = value < 0x1p-1022 ? 54.0 : 0.0
    let (logarithm, whole) = splitLogarithm(Doubles(repeating: value * (scale > 0 ? 0x1p54 : 1)))
    let y = (logarithm[0] + (whole[0] - scale)) * p
    if y > -1021, y < 1021 {
      result = powerOfTwo(Doubles(repeating: y))[0]
    } else {
      // Two factors reach to both ends of the range, and beyond them give 0 and infinity.
      let halved = y * 0.5
      let limited = halved > 1000 ? 1000 : halved < -1000 ? -1000 : halved
      let half = powerOfTwo(Doubles(repeating: limited))[0]
      result = half * half
    }
  }
  number.storeBytes(of: result, as: Double.self)
}
