import CDFMergeShims

/// How a loop gets the weight of a model from its Fisher value; numbers that `mergeTaskVectors`
/// takes.
package enum FisherWeight {
  /// `F + epsilon`.
  package static var plain: Int { 0 }
  /// `sqrt(F + epsilon)`.
  package static var root: Int { 1 }
  /// The Fisher values are the weights, and are not looked at.
  package static var ready: Int { 2 }
}

extension InnerLoops {
  /// `out = b + M * (sum_m W_m (c_m (x_m - b))) / (sum_m W_m)`, and with every weight 1 where they
  /// sum to 0; the coefficients are the models' factors, `weight` is one of `FisherWeight`.
  @inline(never)
  package static func mergeTaskVectors(
    into out: dfmk_output, base: dfmk_input, _ models: UnsafePointer<dfmk_model>, count: Int,
    weight kind: Int, epsilon: Double, n: Int, noticed: UnsafeMutablePointer<dfmk_noticed>
  ) {
    let modelCount = Double(count)
    var tally = dfmk_tally()
    var i = 0
    while i < n {
      let b = dfmk_load(base, Int64(i))
      var top = StepDoubles()
      var bottom = StepDoubles()
      for m in 0..<count {
        let model = models + m
        let weight: StepDoubles
        switch kind {
        case FisherWeight.plain: weight = fisher(model, i, &tally) + epsilon
        case FisherWeight.root: weight = dfmk_square_root(fisher(model, i, &tally) + epsilon)
        default: weight = dfmk_load(model.pointee.lower, Int64(i))
        }
        top += (dfmk_load(model.pointee.x, Int64(i)) - b) * model.pointee.factor * weight
        bottom += weight
      }
      if dfmk_has_zero(bottom) {
        // Lanes without any weight: plain sums, which are those with every weight 1.
        var plain = StepDoubles()
        for m in 0..<count { plain += (dfmk_load(models[m].x, Int64(i)) - b) * models[m].factor }
        let isZero = bottom .== 0
        top = (top * modelCount).replacing(with: plain, where: isZero)
        bottom = bottom.replacing(with: 1, where: isZero)
      } else {
        top *= modelCount
      }
      dfmk_store(out, Int64(i), b + top / bottom, &tally)
      i &+= stepSize
    }
    dfmk_finish(out, &tally, noticed)
  }

  /// `out = (sum_m w_m x_m) / (sum_m w_m)`, the plain mean where the weights sum to 0;
  /// `w_m = factor_m max(F_m, floor_m)`.
  @inline(never)
  package static func average(
    into out: dfmk_output, _ models: UnsafePointer<dfmk_model>, count: Int, n: Int,
    noticed: UnsafeMutablePointer<dfmk_noticed>
  ) {
    var tally = dfmk_tally()
    var i = 0
    while i < n {
      var top = StepDoubles()
      var bottom = StepDoubles()
      for m in 0..<count {
        let model = models + m
        let value = fisher(model, i, &tally)
        let floor = model.pointee.floor
        // Not a maximum function: those prefer the number to the NaN.
        let weight = value.replacing(with: floor, where: value .< floor) * model.pointee.factor
        top += dfmk_load(model.pointee.x, Int64(i)) * weight
        bottom += weight
      }
      if dfmk_has_zero(bottom) {
        let isZero = bottom .== 0
        var plain = StepDoubles()
        for m in 0..<count { plain += dfmk_load(models[m].x, Int64(i)) }
        top = top.replacing(with: plain, where: isZero)
        bottom = bottom.replacing(with: Double(count), where: isZero)
      }
      dfmk_store(out, Int64(i), top / bottom, &tally)
      i &+= stepSize
    }
    dfmk_finish(out, &tally, noticed)
  }

  /// Writes the model's Fisher values into `values`, `n` doubles.
  @inline(never)
  package static func interpolate(
    into values: UnsafeMutableRawPointer, _ model: UnsafePointer<dfmk_model>, start: Int, n: Int,
    noticed: UnsafeMutablePointer<dfmk_noticed>
  ) {
    var tally = dfmk_tally()
    var i = 0
    while i < n {
      let value = fisher(model, start &+ i, &tally)
      values.storeBytes(of: value, toByteOffset: i &* 8, as: StepDoubles.self)
      i &+= stepSize
    }
    dfmk_finish(dfmk_output(), &tally, noticed)
  }

  /// `lower + fraction * (upper - lower)`; `lower` alone where there is no `upper`.
  @inline(__always)
  static func fisher(
    _ model: UnsafePointer<dfmk_model>, _ i: Int, _ tally: inout dfmk_tally
  ) -> StepDoubles {
    let lower = dfmk_load_fisher(model.pointee.lower, Int64(i), &tally)
    guard model.pointee.upper.start != nil else { return lower }
    let upper = dfmk_load_fisher(model.pointee.upper, Int64(i), &tally)
    return lower + (upper - lower) * model.pointee.fraction
  }
}
