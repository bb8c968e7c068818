import DFMergeCore
import DFMergeKernels
import DFMergeMethods

// Magnitudes of task vectors of a given rank. Counts of whole numbers, so neither threads nor pieces
// can change them.
extension StatisticsPass {
  /// The magnitude of the last element kept, for each entry and model.
  ///
  /// Reads base and models twice, three times where something is F64; not at all where everything
  /// is kept.
  /// - Throws: `.nonFinite` for a difference that is NaN, unless such values are allowed: then they
  ///   rank below every number.
  func thresholds(
    _ densities: [Double], _ scope: StatisticScope, _ keeping: KeptCount,
    poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> [[Double]] {
    let isExact = if case .fromAscending = keeping { true } else { false }
    return try magnitudes(scope, isExact: isExact, poll: poll) { (_, count) in
      densities.map { keeping.rank(of: count, density: $0) }
    }
  }

  /// The magnitudes of the ranks that the methods say, for each entry.
  ///
  /// - Parameter owner: the instance that asks; it speaks for all tensors where the scope is the
  ///   model.
  func magnitudes(
    _ request: RankRequest, of owner: any MergeMethod, poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> [[Double]] {
    let (methods, found) = (methods, found)
    return try magnitudes(request.scope, isExact: true, poll: poll) { (entry, count) in
      let method = entry.map { methods[$0] } ?? owner
      return (0..<request.count).map {
        method.rank(request, index: $0, count: count, statistics: found[entry ?? 0])
      }
    }
  }

  /// Carries out selections of the given ranks, number i of model `i % models`.
  private func magnitudes(
    _ scope: StatisticScope, isExact: Bool, poll: () throws(DFMergeError) -> Void,
    ranks: (_ entry: Int?, _ count: Int) -> [Int]
  ) throws(DFMergeError) -> [[Double]] {
    let entries = executor.plan.entries
    let models = executor.plan.modelNames.count
    func selections(
      _ entry: Int?, _ count: Int, _ entries: [MergePlan.Entry]
    ) -> [MagnitudeSelection] {
      ranks(entry, count).enumerated().map { number, rank in
        MagnitudeSelection(
          rank: rank, of: count,
          isWide: entries.contains {
            $0.base?.dtype == .f64 || $0.models[number % models].dtype == .f64
          }, isExact: isExact)
      }
    }
    let memory = try executor.pieceMemory()
    switch scope {
    case .model:
      guard !entries.isEmpty else { return [] }
      let found = try select(
        selections(nil, executor.plan.elementCount, entries), in: nil, memory, poll: poll)
      return entries.map { _ in found }
    case .tensor:
      // Tensors of one block each by themselves, all in one pass.
      let wanted = entries.indices.map { number in
        let count = entries[number].mergedCount
        return count <= MergeExecutor.blockElements ? ranks(number, count) : []
      }
      var found = try magnitudesOfBlocks(wanted, isExact: isExact, memory, poll: poll)
      for (number, entry) in entries.enumerated() where wanted[number].isEmpty {
        found[number] = try select(
          selections(number, entry.mergedCount, [entry]), in: number, memory, poll: poll)
      }
      return found
    }
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
      // One histogram per thread and model, made when the thread gets its first piece.
      let threads = TileSlots<[MagnitudeHistogram?]>(
        count: executor.resources.threads, initial: [])
      try executor.forEachMergePiece(of: entry, in: memory, poll: poll) {
        (number, piece, buffer) throws(DFMergeError) in
        if threads[buffer.worker].isEmpty {
          threads[buffer.worker] = digits.indices.map { place in
            places[place] == place ? digits[place].map { MagnitudeHistogram($0) } : nil
          }
        }
        try count(number, piece, into: threads[buffer.worker], &buffer)
      }
      for (number, digit) in digits.enumerated() {
        guard let digit else { continue }
        let sharing = digits.indices.filter { places[$0] == number && digits[$0] != nil }
        guard !sharing.isEmpty else { continue }
        let counted = threads.values.compactMap { $0.isEmpty ? nil : $0[number] }
        let sum = counted.first ?? MagnitudeHistogram(digit)
        for other in counted.dropFirst() { sum.add(other) }
        for place in sharing { selections[place].narrow(by: sum) }
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
