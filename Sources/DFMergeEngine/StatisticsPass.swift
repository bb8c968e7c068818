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

  /// Memory that statistics take while they are computed.
  static func bytes(_ joint: JointStatistics, _ plan: MergePlan) -> Int {
    let models = plan.modelNames.count
    let perEntry = joint.isByTensor ? 1 : joint.statistics.count
    return switch joint.first {
    case .fisherSumOfSquares: BlockSums.byteCount(plan, width: models)
    case .sums(let request): BlockSums.byteCount(plan, width: request.count)
    case .taskVectorThreshold: plan.entries.count * models * 16 * perEntry
    case .taskVectorRanks(let request), .ranks(let request):
      plan.entries.count * request.count * 16 * perEntry
    }
  }

  /// Memory that each thread takes for them.
  static func threadBytes(_ joint: JointStatistics, _ plan: MergePlan) -> Int {
    let isWide = plan.entries.contains(where: \.isWide)
    let together = joint.isByTensor ? 1 : min(joint.statistics.count, mostTogether(isWide: isWide))
    switch joint.first {
    case .fisherSumOfSquares, .sums: return 0
    case .taskVectorThreshold:
      return together * plan.modelNames.count * MagnitudeHistogram.byteCount(isWide: isWide)
    case .taskVectorRanks(let request):
      return together * request.count * MagnitudeHistogram.byteCount(isWide: isWide)
    case .ranks(let request):
      return request.count * KeySelection.Digit.byteCount(isWide: isWide)
        + MergeExecutor.blockElements * 8
    }
  }

  /// How many statistics over a model may have counters of their own at a time.
  static func mostTogether(isWide: Bool) -> Int { isWide ? 1 : JointStatistics.mostTogether }

  /// Every figure that the methods ask for, by entry of the plan.
  mutating func run(
    poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> [[ModelStatistic: [Double]]] {
    for place in 0..<methods.placeCount {
      for joint in methods.passes(at: place) {
        switch joint.first {
        case .fisherSumOfSquares: keep(try sumsOfSquares(poll: poll), for: joint.first)
        case .taskVectorThreshold, .taskVectorRanks:
          let known = try magnitudes(joint, at: place, poll: poll)
          for (entry, figures) in known.enumerated() {
            found[entry].merge(figures) { _, new in new }
          }
        case .ranks(let request):
          keep(try ranks(request, of: owner(of: joint.first), poll: poll), for: joint.first)
        case .sums(let request):
          try keepSums(at: place, ofWholeUnits: request.ofWholeUnits, poll: poll)
        }
      }
    }
    return found
  }

  /// The instance that asks for a statistic; it speaks for all tensors where that is found over the
  /// whole model.
  func owner(of statistic: ModelStatistic) -> any MergeMethod {
    methods.instances.first { $0.statistics.contains(statistic) } ?? methods.instances[0]
  }

  private mutating func keep(_ values: [[Double]], for statistic: ModelStatistic) {
    for entry in found.indices { found[entry][statistic] = values[entry] }
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
    let total = sums.total(of: sums.namedOrder(plan))
    return plan.entries.map { _ in total }
  }

  /// The sums that the instances ask for at one place of their statistics: one pass, in which each
  /// tensor is looked at by its own instance for its own request.
  private mutating func keepSums(
    at place: Int, ofWholeUnits: Bool, poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) {
    let (executor, methods, known) = (executor, methods, found)
    let plan = executor.plan
    let requests = plan.entries.indices.map { number -> SumsRequest? in
      guard case .sums(let request)? = methods.statistic(of: number, at: place),
        request.ofWholeUnits == ofWholeUnits
      else { return nil }
      return request
    }
    let lengths =
      ofWholeUnits
      ? executor.blockLengths : plan.entries.map { _ in MergeExecutor.blockElements }
    let sums = BlockSums(
      plan, width: requests.reduce(0) { max($0, $1?.count ?? 0) }, blockLengths: lengths)
    try executor.forEachInputTile(
      wholeUnits: ofWholeUnits, kept: ofWholeUnits ? kept : nil, statistics: known,
      fishers: fishers, poll: poll
    ) { (number, tile, _) throws(DFMergeError) in
      guard let request = requests[number] else { return }
      sums.put(try methods[number].sums(tile, request), entry: number, at: tile.offset)
    }
    for request in Set(requests.compactMap { $0 }) {
      let entries = sums.namedOrder(plan).filter { requests[$0] == request }
      switch request.scope {
      case .model:
        let total = sums.total(of: entries)
        for entry in entries { found[entry][.sums(request)] = Array(total.prefix(request.count)) }
      case .tensor:
        let tensors = entries.map { entry in
          TensorSums(
            name: plan.entries[entry].output.name, shape: plan.entries[entry].mergedShape,
            sums: Array(sums.total(of: entry).prefix(request.count)))
        }
        // An instance may see the sums in the light of its own options.
        for (instance, own) in methods.instances(of: entries) {
          let figures = instance.figures(request, of: tensors)
          for place in own { found[entries[place]][.sums(request)] = figures[place] }
        }
      }
    }
  }
}
