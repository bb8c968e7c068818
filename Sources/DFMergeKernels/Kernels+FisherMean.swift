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
    guard count > 0 else { return StoreOutcome() }
    let loops = CPULevel.current.loops
    let wide = needsDoubles(models)
    let plan = FisherPlan(fishers, wide: wide, isPlain: false)
    Workspace.with(models: modelCount, slots: 2 &* modelCount &+ 4) { workspace in
      let means = workspace.slot(0)
      forEachChunk(count: count, size: workspace.chunkSize) { chunk in
        let n = chunk.padded
        for m in 0..<modelCount {
          workspace.models[m] = staged(
            models[m], chunk, wide: wide, scratch: workspace.slot(m &+ 4), loops: loops)
          let slot = workspace.slot(m &+ modelCount &+ 4)
          fisherValues(fishers[m], chunk, plan, workspace, into: slot, loops: loops)
          loops.weigh(slot, floor: floors[m], weight: weights[m], n: n)
          workspace.weights[m] = UnsafeRawPointer(slot)
        }
        loops.average(
          into: means, UnsafePointer(workspace.models), weights: UnsafePointer(workspace.weights),
          models: modelCount, n: n, wide: wide)
        narrow(
          UnsafeRawPointer(means), count: chunk.count, into: out.advanced(by: chunk.start),
          loops: loops)
      }
    }
    return outcome(of: out, fishers: fishers, count: count)
  }
}
