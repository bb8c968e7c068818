import DFMergeCore
import DFMergeKernels
import DFMergeMethods

/// The passes over the inputs that give a method the figures that it asks for.
struct StatisticsPass {
  let executor: MergeExecutor
  let methods: MethodSet
  /// One lookup per model that replaces the plan's Fisher values, or empty.
  let fishers: [MergeExecutor.FisherLookup]
  /// What sums of whole units leave for the merge.
  private let kept: KeptElements?
  /// What is known so far, by entry of the plan.
  private(set) var found: [[ModelStatistic: [Double]]]

  init(
    _ executor: MergeExecutor, _ methods: MethodSet, _ fishers: [MergeExecutor.FisherLookup],
    kept: KeptElements? = nil
  ) {
    self.executor = executor
    self.methods = methods
    self.fishers = fishers
    self.kept = kept
    found = Array(repeating: [:], count: executor.plan.entries.count)
  }

  /// Memory that a statistic takes while it is computed.
  static func bytes(_ statistic: ModelStatistic, _ plan: MergePlan) -> Int {
    switch statistic {
    case .fisherSumOfSquares: BlockSums.byteCount(plan, width: plan.modelNames.count)
    case .sums(let request): BlockSums.byteCount(plan, width: request.count)
    case .taskVectorThreshold: plan.entries.count * plan.modelNames.count * 16
    case .ranks(let request): plan.entries.count * request.count * 16
    }
  }

  /// Memory that each thread takes for it.
  static func threadBytes(_ statistic: ModelStatistic, _ plan: MergePlan) -> Int {
    let isWide = plan.entries.contains(where: \.isWide)
    switch statistic {
    case .fisherSumOfSquares, .sums: return 0
    case .taskVectorThreshold:
      return plan.modelNames.count * MagnitudeHistogram.byteCount(isWide: isWide)
    case .ranks(let request):
      return request.count * KeySelection.Digit.byteCount(isWide: isWide)
        + MergeExecutor.blockElements * 8
    }
  }

  /// Every figure that the methods ask for, by entry of the plan.
  mutating func run(
    poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> [[ModelStatistic: [Double]]] {
    for place in methods.statistics {
      guard let first = place.first else { continue }
      if case .sums(let request) = first {
        // One pass, in which each tensor is looked at by its own instance.
        try keep(sums(request, poll: poll), for: place)
        continue
      }
      // Instances that ask for the same share what is found.
      for statistic in Set(place) {
        let values: [[Double]]
        switch statistic {
        case .fisherSumOfSquares: values = try sumsOfSquares(poll: poll)
        case .taskVectorThreshold(let densities, let scope, let keeping):
          values = try thresholds(densities, scope, keeping, poll: poll)
        case .ranks(let request): values = try ranks(request, poll: poll)
        case .sums: continue
        }
        keep(values, for: [statistic])
      }
    }
    return found
  }

  private mutating func keep(_ values: [[Double]], for statistics: [ModelStatistic]) {
    for entry in found.indices {
      for statistic in statistics { found[entry][statistic] = values[entry] }
    }
  }

  /// `sum(F_m^2)` over all entries that have Fisher values, for each model.
  private func sumsOfSquares(
    poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> [[Double]] {
    let plan = executor.plan
    let block = MergeExecutor.blockElements
    let sums = BlockSums(
      plan, width: plan.modelNames.count, blockLengths: plan.entries.map { _ in block })
    let (executor, fishers) = (executor, fishers)
    try executor.forEachMergePiece(poll: poll) {
      (number, piece, buffer) throws(DFMergeError) in
      let operands = try executor.fishers(of: number, piece, fishers, &buffer)
      for start in stride(from: 0, to: piece.count, by: block) where !operands.isEmpty {
        let count = min(block, piece.count - start)
        sums.put(
          operands.map { Kernels.sumOfSquares($0.lower.advanced(by: start), count: count) },
          entry: number, at: piece.offset + start)
      }
    }
    let total = sums.total(plan)
    return plan.entries.map { _ in total }
  }

  /// The sums that the methods make of their tiles.
  private func sums(
    _ request: SumsRequest, poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> [[Double]] {
    let plan = executor.plan
    let lengths =
      request.ofWholeUnits
      ? executor.blockLengths : plan.entries.map { _ in MergeExecutor.blockElements }
    let sums = BlockSums(plan, width: request.count, blockLengths: lengths)
    let (executor, methods, found) = (executor, methods, found)
    try executor.forEachInputTile(
      wholeUnits: request.ofWholeUnits, kept: request.ofWholeUnits ? kept : nil, statistics: found,
      fishers: fishers, poll: poll
    ) { (number, tile, _) throws(DFMergeError) in
      sums.put(try methods[number].sums(tile, request), entry: number, at: tile.offset)
    }
    switch request.scope {
    case .tensor: return plan.entries.indices.map { sums.total(of: $0) }
    case .model:
      let total = sums.total(plan)
      return plan.entries.map { _ in total }
    }
  }
}
