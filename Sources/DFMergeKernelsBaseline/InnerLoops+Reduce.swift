import CDFMergeShims

extension InnerLoops {
  /// `acc += w v`, or `w v^2` where `squared`; `acc` is the output and F32.
  @inline(never)
  package static func accumulate(
    into acc: dfmk_output, _ values: dfmk_input, weight: Double, squared: Bool, n: Int
  ) {
    // What the sums look like is the business of whoever reads them.
    var tally = dfmk_tally()
    let sums = dfmk_input(start: UnsafePointer(acc.start), type: acc.type, ahead: values.ahead)
    var i = 0
    while i < n {
      let v = dfmk_load(values, Int64(i))
      let term = squared ? v * v * weight : v * weight
      dfmk_store(acc, Int64(i), dfmk_load(sums, Int64(i)) + term, &tally)
      i &+= stepSize
    }
  }

  /// Adds `x^2` to eight sums in turn, doubles at `sums`.
  @inline(never)
  package static func addSquares(of x: dfmk_input, to sums: UnsafeMutableRawPointer, n: Int) {
    var total = sums.load(as: Doubles.self)
    var i = 0
    while i < n {
      let v = dfmk_load(x, Int64(i))
      total = dfmk_added(total, v * v)
      i &+= stepSize
    }
    sums.storeBytes(of: total, as: Doubles.self)
  }

  /// Adds `g (x - b)` to eight sums in turn, doubles at `sums`; `g x` where there is no `b`.
  @inline(never)
  package static func addProducts(
    of g: dfmk_input, _ x: dfmk_input, minus b: dfmk_input, to sums: UnsafeMutableRawPointer,
    n: Int
  ) {
    var total = sums.load(as: Doubles.self)
    var i = 0
    while i < n {
      var difference = dfmk_load(x, Int64(i))
      if b.start != nil { difference -= dfmk_load(b, Int64(i)) }
      total = dfmk_added(total, dfmk_load(g, Int64(i)) * difference)
      i &+= stepSize
    }
    sums.storeBytes(of: total, as: Doubles.self)
  }

  /// Adds `(x - b) (y - b)` to eight sums in turn, doubles at `sums`; `x y` where there is no `b`.
  @inline(never)
  package static func addDifferenceProducts(
    of x: dfmk_input, _ y: dfmk_input, minus b: dfmk_input, to sums: UnsafeMutableRawPointer,
    n: Int
  ) {
    var total = sums.load(as: Doubles.self)
    var i = 0
    if b.start == nil {
      while i < n {
        total = dfmk_added(total, dfmk_load(x, Int64(i)) * dfmk_load(y, Int64(i)))
        i &+= stepSize
      }
    } else {
      while i < n {
        let origin = dfmk_load(b, Int64(i))
        let first = dfmk_load(x, Int64(i)) - origin
        total = dfmk_added(total, first * (dfmk_load(y, Int64(i)) - origin))
        i &+= stepSize
      }
    }
    sums.storeBytes(of: total, as: Doubles.self)
  }

  /// Adds `|x - b|` to eight sums in turn, doubles at `sums`; `|x|` where there is no `b`.
  @inline(never)
  package static func addMagnitudes(
    of x: dfmk_input, minus b: dfmk_input, to sums: UnsafeMutableRawPointer, n: Int
  ) {
    var total = sums.load(as: Doubles.self)
    var i = 0
    while i < n {
      var d = dfmk_load(x, Int64(i))
      if b.start != nil { d -= dfmk_load(b, Int64(i)) }
      total = dfmk_added(total, dfmk_magnitude(d))
      i &+= stepSize
    }
    sums.storeBytes(of: total, as: Doubles.self)
  }

  /// Adds `(x - b)^2` to eight sums in turn, doubles at `sums`; `x^2` where there is no `b`.
  @inline(never)
  package static func addSquares(
    of x: dfmk_input, minus b: dfmk_input, to sums: UnsafeMutableRawPointer, n: Int
  ) {
    var total = sums.load(as: Doubles.self)
    var i = 0
    while i < n {
      var d = dfmk_load(x, Int64(i))
      if b.start != nil { d -= dfmk_load(b, Int64(i)) }
      total = dfmk_added(total, d * d)
      i &+= stepSize
    }
    sums.storeBytes(of: total, as: Doubles.self)
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
}
