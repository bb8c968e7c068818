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
    let entries = executor.plan.entries
    func selections(_ count: Int, _ entries: [MergePlan.Entry]) -> [MagnitudeSelection] {
      densities.indices.map { model in
        MagnitudeSelection(
          rank: keeping.rank(of: count, density: densities[model]), of: count,
          isWide: entries.contains {
            $0.base?.dtype == .f64 || $0.models[model].dtype == .f64
          })
      }
    }
    let memory = try executor.pieceMemory()
    switch scope {
    case .model:
      let found = try select(
        selections(executor.plan.elementCount, entries), in: nil, memory, poll: poll)
      return entries.map { _ in found }
    case .tensor:
      var found: [[Double]] = []
      for (number, entry) in entries.enumerated() {
        found.append(
          try select(selections(entry.mergedCount, [entry]), in: number, memory, poll: poll))
      }
      return found
    }
  }

  /// Carries out one selection per model, over one entry or over all.
  private func select(
    _ given: [MagnitudeSelection], in entry: Int?, _ memory: AlignedBuffer,
    poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> [Double] {
    var selections = given
    while selections.contains(where: { $0.digit != nil }) {
      let digits = selections.map(\.digit)
      // One histogram per thread and model, made when the thread gets its first piece.
      let threads = TileSlots<[MagnitudeHistogram?]>(
        count: executor.resources.threads, initial: [])
      try executor.forEachMergePiece(of: entry, in: memory, poll: poll) {
        (number, piece, buffer) throws(DFMergeError) in
        if threads[buffer.worker].isEmpty {
          threads[buffer.worker] = digits.map { $0.map { MagnitudeHistogram($0) } }
        }
        try count(number, piece, into: threads[buffer.worker], &buffer)
      }
      for (model, digit) in digits.enumerated() {
        guard let digit else { continue }
        let counted = threads.values.compactMap { $0.isEmpty ? nil : $0[model] }
        let sum = counted.first ?? MagnitudeHistogram(digit)
        for other in counted.dropFirst() { sum.add(other) }
        selections[model].narrow(by: sum)
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
    for (model, histogram) in histograms.enumerated() {
      guard let histogram else { continue }
      let elements = try buffer.elements(
        entry.models[model], from: piece.offset, count: piece.count)
      let before = histogram.undefined
      histogram.count(elements, base: base, count: piece.count)
      guard histogram.undefined > before, !executor.allowsNonFinite else { continue }
      let name = executor.plan.modelNames[model]
      throw DFMergeError(
        .nonFinite,
        "Tensor '\(entry.output.name)' of model '\(name)' less that of the base has NaN among its "
          + "elements from \(piece.offset) on, so its largest elements cannot be told; mend the "
          + "weights, or allow such values (non_finite: allow).",
        context: ["tensor": entry.output.name, "model": name])
    }
  }
}
