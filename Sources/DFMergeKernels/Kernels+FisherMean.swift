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
  @discardableResult
  @inline(never)
  package static func fisherWeightedMean(
    into out: MutableElements, models: [Elements], fishers: [FisherElements], weights: [Double],
    floors: [Double], count: Int
  ) -> StoreOutcome {
    let modelCount = models.count
    precondition(modelCount > 0, "A mean needs a model.")
    precondition(
      modelCount == fishers.count && modelCount == weights.count && modelCount == floors.count,
      "One Fisher tensor, one weight and one floor per model.")
    if modelCount == 1 { return convert(into: out, models[0], count: count) }
    let loops = CPULevel.current.loops
    let operands = LoopOperands(
      out: out, models: models, fishers: fishers, factors: weights, floors: floors)
    return operands.run(count: count) {
      loops.average(into: $0.out, $0.models, count: modelCount, n: $0.n, noticed: $1)
    }
  }
}
