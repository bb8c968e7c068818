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
    case .taskVectorThreshold: 0
    }
  }

  /// `sum(F_m^2)` over all entries that have Fisher values, for each model.
  func sumsOfSquares(
    _ fishers: [MergeExecutor.FisherLookup], poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> [Double] {
    let plan = executor.plan
    let block = MergeExecutor.blockElements
    // One sum per block, added in the order of the blocks: the same bits for any number of threads
    // and any size of pieces.
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
    let values = sums.values
    return (0..<count).map { model in
      stride(from: model, to: values.count, by: count).reduce(0.0) { $0 + values[$1] }
    }
  }
}
