import CDFMergeShims
import DFMergeCore

extension Kernels {
  /// `out = (sum_m w_m max(F_m, floor_m) x_m) / (sum_m w_m max(F_m, floor_m))`.
  ///
  /// - Where the total weight is 0, the plain mean of the models.
  /// - One model is converted, bit for bit where the types agree; its Fisher is not read.
  /// - A NaN Fisher value gives NaN: the floor does not hide it.
  ///
  /// - Precondition: at least one model.
  ///
  /// Source: Fisher merging, Matena and Raffel 2022, arXiv 2111.09832, as its code computes it.
  @inline(never)
  package static func fisherWeightedMean(
    into out: MutableElements, models: [Elements], fishers: [FisherElements], weights: [Double],
    floors: [Double], count: Int
  ) {
    let modelCount = models.count
    precondition(modelCount > 0, "A mean needs a model.")
    precondition(
      modelCount == fishers.count && modelCount == weights.count && modelCount == floors.count,
      "One Fisher tensor, one weight and one floor per model.")
    if modelCount == 1 { return convert(into: out, models[0], count: count) }
    guard count > 0 else { return }
    let wide = needsDoubles(models)
    let plan = FisherPlan(fishers, wide: wide, isPlain: false)
    Workspace.with(models: modelCount, slots: 2 &* modelCount &+ 4) { workspace in
      let means = workspace.slot(0)
      weights.withUnsafeBufferPointer { c in
        forEachChunk(count: count, size: workspace.chunkSize) { chunk in
          let n = chunk.padded
          for m in 0..<modelCount {
            workspace.models[m] = staged(
              models[m], chunk, wide: wide, scratch: workspace.slot(m &+ 4))
            let slot = workspace.slot(m &+ modelCount &+ 4)
            fisherValues(fishers[m], chunk, plan, workspace, into: slot)
            weigh(slot, floor: floors[m], weight: c[m], n)
            workspace.weights[m] = UnsafeRawPointer(slot)
          }
          let x = UnsafePointer(workspace.models)
          let w = UnsafePointer(workspace.weights)
          if wide {
            average(DoubleLane.self, into: means, x, w, modelCount, n)
          } else {
            average(FloatLane.self, into: means, x, w, modelCount, n)
          }
          narrow(
            UnsafeRawPointer(means), count: chunk.count, into: out.advanced(by: chunk.start))
        }
      }
    }
  }
}

/// `W = weight * max(F, floor)`, in place.
@inline(never)
private func weigh(
  _ values: UnsafeMutableRawPointer, floor: Double, weight: Double, _ n: Int
) {
  var i = 0
  while i < n {
    let value = values.load(fromByteOffset: i &* 8, as: Doubles.self)
    // Not a maximum function: those prefer the number to the NaN.
    let raised = value.replacing(with: floor, where: value .< floor)
    values.storeBytes(of: raised * weight, toByteOffset: i &* 8, as: Doubles.self)
    i &+= 8
  }
}

@inline(__always)
private func average<X: Lane>(
  _: X.Type, into out: UnsafeMutableRawPointer, _ x: UnsafePointer<UnsafeRawPointer>,
  _ w: UnsafePointer<UnsafeRawPointer>, _ modelCount: Int, _ n: Int
) {
  var i = 0
  while i < n {
    var top = Doubles()
    var bottom = Doubles()
    for m in 0..<modelCount {
      let weight = DoubleLane.load(w[m] + i &* 8)
      top += X.load(x[m] + i &* X.width) * weight
      bottom += weight
    }
    if dfmk_any_zero(bottom) {
      let isZero = bottom .== 0
      var plain = Doubles()
      for m in 0..<modelCount { plain += X.load(x[m] + i &* X.width) }
      top = top.replacing(with: plain, where: isZero)
      bottom = bottom.replacing(with: Double(modelCount), where: isZero)
    }
    out.storeBytes(of: top / bottom, toByteOffset: i &* 8, as: Doubles.self)
    i &+= 8
  }
}
