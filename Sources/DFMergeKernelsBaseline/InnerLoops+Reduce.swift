import CDFMergeShims

extension InnerLoops {
  /// `acc += weight * v`, or `weight * v^2` where `squared`, for `n` elements, any number. `values`
  /// can be read up to the next multiple of eight; `acc`, floats, is neither read nor written there.
  @inline(never)
  package static func accumulate(
    into acc: UnsafeMutableRawPointer, _ values: UnsafeRawPointer, weight: Double, squared: Bool,
    n: Int, wide: Bool
  ) {
    switch (wide, squared) {
    case (false, false): accumulate(FloatLane.self, into: acc, values, n) { $0 * weight }
    case (false, true): accumulate(FloatLane.self, into: acc, values, n) { $0 * $0 * weight }
    case (true, false): accumulate(DoubleLane.self, into: acc, values, n) { $0 * weight }
    case (true, true): accumulate(DoubleLane.self, into: acc, values, n) { $0 * $0 * weight }
    }
  }

  /// Adds `v^2` to eight sums in turn, doubles at `sums`.
  @inline(never)
  package static func addSquares(
    of values: UnsafeRawPointer, to sums: UnsafeMutableRawPointer, n: Int, wide: Bool
  ) {
    if wide {
      addSquares(DoubleLane.self, values, to: sums, n)
    } else {
      addSquares(FloatLane.self, values, to: sums, n)
    }
  }

  // The first of `n` elements, any number, that is not finite - nor negative where
  // `refusingNegative`, -0 excepted; -1 if there is none. These look at the bits as they are:
  // `infinity` are those of the element type's infinity.

  @inline(never)
  package static func firstInvalid16(
    _ x: UnsafeRawPointer, infinity: UInt16, refusingNegative: Bool, n: Int
  ) -> Int {
    Int(dfmk_first_from_u16(x, Int64(n), refusingNegative ? 0xffff : 0x7fff, infinity))
  }

  @inline(never)
  package static func firstInvalidF32(
    _ x: UnsafeRawPointer, refusingNegative: Bool, n: Int
  ) -> Int {
    Int(
      dfmk_first_from_u32(x, Int64(n), refusingNegative ? 0xffff_ffff : 0x7fff_ffff, 0x7f80_0000))
  }

  @inline(never)
  package static func firstInvalidF64(
    _ x: UnsafeRawPointer, refusingNegative: Bool, n: Int
  ) -> Int {
    Int(
      dfmk_first_from_u64(
        x, Int64(n), refusingNegative ? 0xffff_ffff_ffff_ffff : 0x7fff_ffff_ffff_ffff,
        0x7ff0_0000_0000_0000))
  }

  @inline(__always)
  private static func accumulate<X: Lane>(
    _: X.Type, into acc: UnsafeMutableRawPointer, _ values: UnsafeRawPointer, _ n: Int,
    _ term: (Doubles) -> Doubles
  ) {
    var i = 0
    while i &+ 8 <= n {
      let here = acc + i &* 4
      dfmk_store_f32x8(here, FloatLane.load(here) + term(X.load(values + i &* X.width)))
      i &+= 8
    }
    if i < n {
      let here = acc + i &* 4
      var last = SIMD8<Float>()
      withUnsafeMutableBytes(of: &last) { bytes in
        guard let copy = bytes.baseAddress else { return }
        copy.copyMemory(from: here, byteCount: (n &- i) &* 4)
        dfmk_store_f32x8(copy, dfmk_load_f32x8(copy) + term(X.load(values + i &* X.width)))
        here.copyMemory(from: copy, byteCount: (n &- i) &* 4)
      }
    }
  }

  @inline(__always)
  private static func addSquares<X: Lane>(
    _: X.Type, _ values: UnsafeRawPointer, to sums: UnsafeMutableRawPointer, _ n: Int
  ) {
    var total = dfmk_load_f64x8(sums)
    var i = 0
    while i < n {
      let v = X.load(values + i &* X.width)
      total += v * v
      i &+= 8
    }
    sums.storeBytes(of: total, as: Doubles.self)
  }
}
