import DFMergeCore
import DFMergeKernels
import DFMergeMethods

// Order statistics of numbers that a method computes; see ``KeySelection``. Counts of whole numbers,
// so neither threads nor pieces can change them.
extension StatisticsPass {
  /// Elements whose values are ranked at a time.
  private static let rankedRun = 1 << 13

  /// The value of each selection, by entry of the plan.
  /// - Parameter owner: the instance that asks; it speaks for all tensors where the scope is the
  ///   model.
  /// - Throws: `.nonFinite` for a value that is NaN, unless such values are allowed.
  func ranks(
    _ request: RankRequest, of owner: any MergeMethod, poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> [[Double]] {
    let entries = executor.plan.entries
    func selections(
      _ method: any MergeMethod, _ number: Int, count: Int, isWide: Bool
    ) -> [KeySelection] {
      (0..<request.count).map { index in
        KeySelection(
          rank: method.rank(request, index: index, count: count, statistics: found[number]),
          of: count, isWide: isWide)
      }
    }
    let memory = try executor.pieceMemory()
    let values = try AlignedBuffer(
      byteCount: executor.resources.threads * MergeExecutor.blockElements * 8)
    switch request.scope {
    case .model:
      guard !entries.isEmpty else { return [] }
      let given = selections(
        owner, 0, count: executor.plan.elementCount, isWide: entries.contains(where: \.isWide))
      let found = try select(given, request, of: owner, in: nil, memory, values, poll: poll)
      return entries.map { _ in found }
    case .tensor:
      var ranked = try ranksOfBlocks(request, memory, values, poll: poll)
      for (number, entry) in entries.enumerated()
      where entry.mergedCount > MergeExecutor.blockElements {
        let given = selections(
          methods[number], number, count: entry.mergedCount, isWide: entry.isWide)
        ranked[number] = try select(
          given, request, of: methods[number], in: number, memory, values, poll: poll)
      }
      return ranked
    }
  }

  /// The selections within those tensors that are one block, all in one pass; nothing for the others.
  private func ranksOfBlocks(
    _ request: RankRequest, _ memory: AlignedBuffer, _ values: AlignedBuffer,
    poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> [[Double]] {
    let (executor, methods, found) = (executor, methods, found)
    let entries = executor.plan.entries
    // An empty tensor has no tile: whatever is found in it is never used.
    let ranked = TileSlots<[Double]>(
      count: entries.count, initial: [Double](repeating: 0, count: request.count))
    let isWanted: @Sendable (Int) -> Bool = {
      entries[$0].mergedCount <= MergeExecutor.blockElements
    }
    try executor.forEachInputTile(
      in: memory, wholeUnits: false, isWanted: isWanted, statistics: found, fishers: fishers,
      poll: poll
    ) { (number, tile, worker) throws(DFMergeError) in
      let start = (values.address + worker * MergeExecutor.blockElements * 8)
        .bindMemory(to: Double.self, capacity: tile.count)
      var own = [Double](repeating: 0, count: request.count)
      for list in 0..<request.values {
        let indices = Array(stride(from: list, to: request.count, by: request.values))
        let ranks = indices.map {
          methods[number].rank(
            request, index: $0, count: tile.count, statistics: found[number])
        }
        try methods[number].rankedValues(tile, request, index: list, into: start)
        let (values, undefined) = Kernels.rankedValues(
          ranks, of: start, count: tile.count, isWide: entries[number].isWide)
        try refuse(undefined, tile)
        for (index, value) in zip(indices, values) { own[index] = value }
      }
      ranked[number] = own
    }
    return ranked.values
  }

  private func refuse(_ undefined: Int, _ tile: InputTile) throws(DFMergeError) {
    guard undefined > 0, !executor.allowsNonFinite else { return }
    throw DFMergeError(
      .nonFinite,
      "Tensor '\(tile.name)' has NaN among what its elements from \(tile.offset) on are "
        + "ranked by; mend the weights, \(executor.nonFiniteRemedy).",
      context: ["tensor": tile.name])
  }

  /// Carries the selections out over one entry or over all.
  private func select(
    _ given: [KeySelection], _ request: RankRequest, of method: any MergeMethod, in entry: Int?,
    _ memory: AlignedBuffer, _ values: AlignedBuffer,
    poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> [Double] {
    var selections = given
    let (executor, found) = (executor, found)
    while selections.contains(where: { $0.digit != nil }) {
      let digits = selections.map(\.digit)
      // Selections among the same values that look at the same bits share counters: those of the first.
      let places = digits.indices.map { number in
        stride(from: number % request.values, to: number, by: request.values)
          .first { digits[$0] == digits[number] } ?? number
      }
      // One set per thread, made when the thread gets its first tile.
      let counters = TileSlots<[KeyHistogram?]>(count: executor.resources.threads, initial: [])
      try executor.forEachInputTile(
        of: entry, in: memory, wholeUnits: false, statistics: found, fishers: fishers, poll: poll
      ) { (number, tile, worker) throws(DFMergeError) in
        if counters[worker].isEmpty {
          counters[worker] = digits.indices.map { places[$0] == $0 ? digits[$0]?.histogram : nil }
        }
        let histograms = counters[worker]
        let start = (values.address + worker * MergeExecutor.blockElements * 8)
          .bindMemory(to: Double.self, capacity: tile.count)
        // As much at a time as stays in a core's own cache with its values.
        for from in stride(from: 0, to: tile.count, by: StatisticsPass.rankedRun) {
          let run = tile.run(
            from: from, count: min(StatisticsPass.rankedRun, tile.count - from))
          for list in 0..<request.values {
            let counted = stride(from: list, to: digits.count, by: request.values)
              .filter { histograms[$0] != nil }
            guard !counted.isEmpty else { continue }
            try method.rankedValues(run, request, index: list, into: start)
            for index in counted {
              guard let digit = digits[index], let histogram = histograms[index] else { continue }
              try refuse(digit.count(start, run.count, into: histogram), run)
            }
          }
        }
      }
      let all = counters.values.filter { !$0.isEmpty }
      for index in digits.indices where places[index] == index {
        guard let digit = digits[index] else { continue }
        let counted = all.compactMap { $0[index] }
        let sum = counted.first ?? digit.histogram
        for other in counted.dropFirst() { sum.add(other) }
        for place in digits.indices where places[place] == index && digits[place] != nil {
          selections[place].narrow(by: sum)
        }
      }
    }
    return selections.map { $0.found ?? 0 }
  }
}
