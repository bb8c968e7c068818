import CDFMergeShims

extension InnerLoops {
  /// Writes `(F + epsilon)^exponent` into `weights`, floats, for `n` Fisher values from number
  /// `start` on; for exponents between 0 and 1 and Fisher values that are not F64. There is room
  /// for `n` rounded up to a multiple of 64.
  ///
  /// Error, relative: see `dfmk_raise`. Where `F + epsilon` is not a normal number of float,
  /// `unusualPower` does it; special cases as in `VectorPower` of `DFMergeKernels`.
  @inline(never)
  package static func temper(
    into weights: UnsafeMutableRawPointer, _ model: UnsafePointer<dfmk_model>, start: Int, n: Int,
    epsilon: Double, exponent: Double, noticed: UnsafeMutablePointer<dfmk_noticed>
  ) {
    var tally = dfmk_tally()
    var areUsual = true
    var i = 0
    while i < n {
      let sum = sum(model, start &+ i, epsilon, &tally)
      areUsual = areUsual && dfmk_are_in(sum, 0x1p-126, .greatestFiniteMagnitude)
      weights.storeBytes(of: sum, toByteOffset: i &* 4, as: StepFloats.self)
      i &+= stepSize
    }
    while i & 63 != 0 {
      weights.storeBytes(of: 1, toByteOffset: i &* 4, as: Float.self)
      i &+= 1
    }
    dfmk_raise(weights, Int64(i), exponent)
    if !areUsual {
      i = 0
      while i < n {
        var narrow = sum(model, start &+ i, epsilon, &tally)
        if !dfmk_are_in(narrow, 0x1p-126, .greatestFiniteMagnitude) {
          var wide = fisher(model, start &+ i, &tally) + epsilon
          replaceUnusual(&narrow, &wide, weights + i &* 4, exponent)
        }
        i &+= stepSize
      }
    }
    dfmk_finish(dfmk_output(), &tally, noticed)
  }

  /// `F + epsilon` in float.
  @inline(__always)
  private static func sum(
    _ model: UnsafePointer<dfmk_model>, _ i: Int, _ epsilon: Double, _ tally: inout dfmk_tally
  ) -> StepFloats {
    guard model.pointee.upper.start == nil else {
      return dfmk_narrowed(fisher(model, i, &tally) + epsilon)
    }
    return dfmk_load_narrow_fisher(model.pointee.lower, Int64(i), &tally) + Float(epsilon)
  }
}

/// Puts powers into `weights`, floats, where `narrow`, a step of floats, is not a normal number:
/// those of `wide`, a step of doubles.
@inline(never)
private func replaceUnusual(
  _ narrow: UnsafeRawPointer, _ wide: UnsafeMutableRawPointer, _ weights: UnsafeMutableRawPointer,
  _ exponent: Double
) {
  for k in 0..<stepSize {
    let sum = narrow.load(fromByteOffset: k &* 4, as: Float.self)
    if sum >= 0x1p-126, sum <= .greatestFiniteMagnitude { continue }
    unusualPower(of: wide + k &* 8, adding: 0, exponent)
    let weight = Float(wide.load(fromByteOffset: k &* 8, as: Double.self))
    weights.storeBytes(of: weight, toByteOffset: k &* 4, as: Float.self)
  }
}
