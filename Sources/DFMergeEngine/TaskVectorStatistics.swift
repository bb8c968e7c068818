import DFMergeCore
import DFMergeKernels
import DFMergeMethods

// Magnitudes of task vectors of a given rank. Counts of whole numbers, so neither threads nor pieces
// can change them.
extension StatisticsPass {
  /// Thresholds and ranked magnitudes, for each entry.
  ///
  /// Reads base and models twice, three times where something is F64, and some more often where
  /// there are many over the model; not at all where everything is kept.
  /// - Parameter place: of the statistics among those of an instance.
  /// - Throws: `.nonFinite` for a difference that is NaN, unless such values are allowed: then they
  ///   rank below every number.
  func magnitudes(
    _ joint: JointStatistics, at place: Int, poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> [[ModelStatistic: [Double]]] {
    let entries = executor.plan.entries
    let isExact =
      if case .taskVectorThreshold(_, _, let keeping) = joint.first { keeping.isExact } else {
        true
      }
    let memory = try executor.pieceMemory()
    guard !joint.isByTensor else {
      let own = entries.indices.map { number -> ModelStatistic? in
        let statistic = methods.statistic(of: number, at: place)
        return statistic.flatMap { joint.statistics.contains($0) ? $0 : nil }
      }
      let values = try magnitudesOfTensors(own, isExact: isExact, memory, poll: poll)
      return own.indices.map { number in own[number].map { [$0: values[number]] } ?? [:] }
    }
    guard !entries.isEmpty else { return [] }
    let count = executor.plan.elementCount
    let asked = joint.statistics.map { ranks(for: $0, of: owner(of: $0), in: 0, count: count) }
    let values = try select(
      selections(asked.flatMap { $0 }, of: count, in: entries, isExact: isExact), in: nil, memory,
      poll: poll)
    var figures: [ModelStatistic: [Double]] = [:]
    var start = 0
    for (statistic, ranks) in zip(joint.statistics, asked) {
      figures[statistic] = Array(values[start..<start + ranks.count])
      start += ranks.count
    }
    return entries.map { _ in figures }
  }

  /// The ranks that a statistic asks for among `count` elements, number i of model `i % models`.
  private func ranks(
    for statistic: ModelStatistic, of method: any MergeMethod, in entry: Int, count: Int
  ) -> [Int] {
    switch statistic {
    case .taskVectorThreshold(let densities, _, let keeping):
      return densities.map { keeping.rank(of: count, density: $0) }
    case .taskVectorRanks(let request):
      let known = found[entry]
      return (0..<request.count).map {
        method.rank(request, index: $0, count: count, statistics: known)
      }
    case .fisherSumOfSquares, .sums, .ranks: return []
    }
  }

  private func selections(
    _ ranks: [Int], of count: Int, in entries: [MergePlan.Entry], isExact: Bool
  ) -> [MagnitudeSelection] {
    let models = executor.plan.modelNames.count
    return ranks.enumerated().map { number, rank in
      MagnitudeSelection(
        rank: rank, of: count,
        isWide: entries.contains {
          $0.base?.dtype == .f64 || $0.models[number % models].dtype == .f64
        }, isExact: isExact)
    }
  }

  /// What each tensor asks for among its own elements; nothing for one that asks for nothing.
  private func magnitudesOfTensors(
    _ wanted: [ModelStatistic?], isExact: Bool, _ memory: AlignedBuffer,
    poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> [[Double]] {
    let entries = executor.plan.entries
    let ranks = entries.indices.map { number in
      wanted[number].map {
        self.ranks(for: $0, of: methods[number], in: number, count: entries[number].mergedCount)
      } ?? []
    }
    func isSmall(_ number: Int) -> Bool {
      entries[number].mergedCount <= MergeExecutor.blockElements
    }
    // Tensors of one block each by themselves, all in one pass.
    let small = entries.indices.map { isSmall($0) ? ranks[$0] : [] }
    var found = try magnitudesOfBlocks(small, isExact: isExact, memory, poll: poll)
    for (number, entry) in entries.enumerated() where !isSmall(number) {
      found[number] = try select(
        selections(ranks[number], of: entry.mergedCount, in: [entry], isExact: isExact),
        in: number, memory, poll: poll)
    }
    return found
  }

  /// The magnitudes of the wanted ranks within those tensors that are one block; nothing for tensors of
  /// which none is wanted.
  private func magnitudesOfBlocks(
    _ wanted: [[Int]], isExact: Bool, _ memory: AlignedBuffer,
    poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> [[Double]] {
    let executor = executor
    let found = TileSlots<[Double]>(count: wanted.count, initial: [])
    for (number, ranks) in wanted.enumerated() {
      found[number] = ranks.map { $0 <= 0 ? .infinity : 0 }
    }
    let isWanted: @Sendable (Int) -> Bool = { !wanted[$0].isEmpty }
    try executor.forEachMergePiece(in: memory, isWanted: isWanted, poll: poll) {
      (number, piece, buffer) throws(DFMergeError) in
      let entry = executor.plan.entries[number]
      guard let view = entry.base else { return }
      let base = try buffer.elements(view, from: piece.offset, count: piece.count)
      var own = found[number]
      for (model, view) in entry.models.enumerated() {
        let places = Array(stride(from: model, to: own.count, by: entry.models.count))
        let ranks = places.map { wanted[number][$0] }
        // Known without a look, as in `MagnitudeSelection`.
        let isKnown = ranks.allSatisfy {
          $0 <= 0 || $0 > piece.count || ($0 == piece.count && !isExact)
        }
        if isKnown { continue }
        let elements = try buffer.elements(view, from: piece.offset, count: piece.count)
        let (values, undefined) = Kernels.largestMagnitudes(
          ranks, elements, base: base, isExact: isExact, count: piece.count)
        if undefined > 0 { try refuse(model, number, piece) }
        for (place, value) in zip(places, values) { own[place] = value }
      }
      found[number] = own
    }
    return found.values
  }

  /// Carries out the selections over one entry or over all.
  private func select(
    _ given: [MagnitudeSelection], in entry: Int?, _ memory: AlignedBuffer,
    poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> [Double] {
    var selections = given
    let models = executor.plan.modelNames.count
    while selections.contains(where: { $0.digit != nil }) {
      let digits = selections.map(\.digit)
      // Selections of one model that look at the same bits share a histogram: that of the first.
      let places = digits.indices.map { number in
        stride(from: number % models, to: number, by: models)
          .first { digits[$0] == digits[number] } ?? number
      }
      let most =
        models * StatisticsPass.mostTogether(isWide: digits.contains { $0?.isWide == true })
      // The others wait for a further read.
      let counted = Set(
        digits.indices.filter { places[$0] == $0 && digits[$0] != nil }.prefix(most))
      // One histogram per thread and selection, made when the thread gets its first piece.
      let threads = TileSlots<[MagnitudeHistogram?]>(
        count: executor.resources.threads, initial: [])
      try executor.forEachMergePiece(of: entry, in: memory, poll: poll) {
        (number, piece, buffer) throws(DFMergeError) in
        if threads[buffer.worker].isEmpty {
          threads[buffer.worker] = digits.indices.map { place in
            counted.contains(place) ? digits[place].map { MagnitudeHistogram($0) } : nil
          }
        }
        try count(number, piece, into: threads[buffer.worker], &buffer)
      }
      for number in counted {
        guard let digit = digits[number] else { continue }
        let parts = threads.values.compactMap { $0.isEmpty ? nil : $0[number] }
        let sum = parts.first ?? MagnitudeHistogram(digit)
        for other in parts.dropFirst() { sum.add(other) }
        for place in digits.indices where places[place] == number && digits[place] != nil {
          selections[place].narrow(by: sum)
        }
      }
    }
    return selections.map { $0.threshold ?? 0 }
  }

  private func count(
    _ number: Int, _ piece: WorkPiece, into histograms: [MagnitudeHistogram?],
    _ buffer: inout PieceBuffer
  ) throws(DFMergeError) {
    let entry = executor.plan.entries[number]
    guard let view = entry.base else { return }
    let base = try buffer.elements(view, from: piece.offset, count: piece.count)
    var models = [Elements?](repeating: nil, count: entry.models.count)
    for (place, histogram) in histograms.enumerated() {
      guard let histogram else { continue }
      let model = place % models.count
      let elements =
        if let read = models[model] {
          read
        } else {
          try buffer.elements(entry.models[model], from: piece.offset, count: piece.count)
        }
      models[model] = elements
      let before = histogram.undefined
      histogram.count(elements, base: base, count: piece.count)
      if histogram.undefined > before { try refuse(model, number, piece) }
    }
  }

  /// Says where a difference is NaN, unless such values are allowed.
  private func refuse(
    _ model: Int, _ number: Int, _ piece: WorkPiece
  ) throws(DFMergeError) {
    guard !executor.allowsNonFinite else { return }
    let (tensor, name) = (
      executor.plan.entries[number].output.name, executor.plan.modelNames[model]
    )
    throw DFMergeError(
      .nonFinite,
      "Tensor '\(tensor)' of model '\(name)' less that of the base has NaN among its "
        + "elements from \(piece.offset) on, so its largest elements cannot be told; mend the "
        + "weights, \(executor.nonFiniteRemedy).",
      context: ["tensor": tensor, "model": name])
  }
}
