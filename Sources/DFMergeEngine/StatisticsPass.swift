import DFMergeCore
import DFMergeKernels
import DFMergeMethods

/// The passes over the inputs that give a method its whole-model figures.
struct StatisticsPass {
  let executor: MergeExecutor

  /// Memory that a statistic takes while it is computed.
  static func bytes(_ statistic: ModelStatistic, _ plan: MergePlan) -> Int {
    switch statistic {
    case .fisherSumOfSquares:
      (plan.elementCount / MergeExecutor.blockElements + plan.entries.count) * 8
        * plan.modelNames.count
    case .taskVectorThreshold, .signBalance: plan.entries.count * plan.modelNames.count * 16
    }
  }

  /// Memory that each thread takes for it.
  static func threadBytes(_ statistic: ModelStatistic, _ plan: MergePlan) -> Int {
    guard case .taskVectorThreshold = statistic else { return 0 }
    let isWide = plan.entries.contains { $0.operands.contains { $0.dtype == .f64 } }
    return plan.modelNames.count * MagnitudeHistogram.byteCount(isWide: isWide)
  }

  /// Every figure that `method` asks for, by entry of the plan.
  func statistics(
    of method: any MergeMethod, _ fishers: [MergeExecutor.FisherLookup],
    poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> [[ModelStatistic: [Double]]] {
    var found = [[ModelStatistic: [Double]]](repeating: [:], count: executor.plan.entries.count)
    for statistic in method.statistics {
      switch statistic {
      case .fisherSumOfSquares:
        let sums = try sumsOfSquares(fishers, poll: poll)
        for entry in found.indices { found[entry][statistic] = sums }
      case .taskVectorThreshold(let densities, let scope, let keeping):
        let values = try thresholds(densities, scope, keeping, poll: poll)
        for entry in found.indices { found[entry][statistic] = values[entry] }
      case .signBalance: break
      }
    }
    // After the others, on which the votes depend.
    if method.statistics.contains(.signBalance) {
      let balance = try signBalance(method, found, poll: poll)
      for entry in found.indices { found[entry][.signBalance] = [Double(balance)] }
    }
    return found
  }

  /// `sum(F_m^2)` over all entries that have Fisher values, for each model.
  func sumsOfSquares(
    _ fishers: [MergeExecutor.FisherLookup], poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> [Double] {
    let plan = executor.plan
    let block = MergeExecutor.blockElements
    // One sum per block, added in the order of the blocks, then one per tensor: the same bits for any
    // number of threads and any size of pieces.
    var firstBlock: [Int] = []
    var blocks = 0
    for entry in plan.entries {
      firstBlock.append(blocks)
      blocks += (entry.mergedCount + block - 1) / block
    }
    let starts = firstBlock
    let count = plan.modelNames.count
    let sums = TileSlots<Double>(count: blocks * count, initial: 0)
    try executor.forEachMergePiece(poll: poll) {
      (number, piece, buffer) throws(DFMergeError) in
      let operands = try executor.fishers(of: number, piece, fishers, &buffer)
      for (model, fisher) in operands.enumerated() {
        for start in stride(from: 0, to: piece.count, by: block) {
          let place = starts[number] + (piece.offset + start) / block
          sums[place * count + model] = Kernels.sumOfSquares(
            fisher.lower.advanced(by: start), count: min(block, piece.count - start))
        }
      }
    }
    // Tensors in the order of their names, for shards and memory have orders of their own.
    let order = plan.entries.indices.sorted {
      plan.entries[$0].output.name.utf8.lexicographicallyPrecedes(plan.entries[$1].output.name.utf8)
    }
    var totals = [Double](repeating: 0, count: count)
    for entry in order {
      let ownBlocks = (plan.entries[entry].mergedCount + block - 1) / block
      for model in totals.indices {
        totals[model] += (0..<ownBlocks).reduce(0.0) {
          $0 + sums[(starts[entry] + $1) * count + model]
        }
      }
    }
    return totals
  }
}
