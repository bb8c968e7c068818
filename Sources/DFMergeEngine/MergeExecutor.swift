import DFMergeCore
import DFMergeKernels
import DFMergeMethods

/// Carries out a plan: cuts it into tiles and runs a method over them on several threads.
package struct MergeExecutor: Sendable {
  /// Elements per tile. Fixed, so that no result can depend on the number of threads; 64 Ki
  /// elements of a dozen F32 operands stay within the caches of two cores.
  package static let tileElements = 1 << 16

  /// Elements that are merged at a time: those of a dozen F32 operands stay in a core's own cache.
  /// A divisor of `tileElements`.
  private static let blockElements = 1 << 14

  package let plan: MergePlan
  /// 0 means one per available core.
  package let threads: Int

  private struct Tile: Sendable {
    let entry: Int
    let offset: Int
    let count: Int
  }
  private let tiles: [Tile]
  private let tensorKeys: [UInt64]

  package init(plan: MergePlan, threads: Int) {
    self.plan = plan
    self.threads = threads
    var tiles: [Tile] = []
    for (number, entry) in plan.entries.enumerated() {
      let count = entry.target.shape.elementCount
      for offset in stride(from: 0, to: count, by: MergeExecutor.tileElements) {
        tiles.append(
          Tile(
            entry: number, offset: offset, count: min(MergeExecutor.tileElements, count - offset)))
      }
    }
    self.tiles = tiles
    tensorKeys = plan.entries.map { CounterRandom.key(of: $0.target.name) }
  }

  /// Fisher values of one model, by plan position; nil where a tensor has none.
  package typealias FisherLookup = @Sendable (_ entry: Int) -> FisherElements?

  /// Writes every tensor of the target.
  ///
  /// - Parameters:
  ///   - fishers: one lookup per model, or empty for methods that need none. A tensor for which no
  ///     model has values is merged without.
  ///   - poll: called on the calling thread between tiles; throws to stop. The target is then
  ///     partly written.
  /// - Throws: `.nonFinite` when Fisher values are negative, NaN or infinite, or a result is NaN or
  ///   infinite; what `poll` throws.
  /// - Complexity: each input is read once, each output written once.
  package func run(
    _ method: any MergeMethod, fishers: [FisherLookup],
    poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) {
    for copy in plan.copies {
      copy.target.bytes.copyMemory(from: copy.source.bytes)
    }
    var statistics: [ModelStatistic: [Double]] = [:]
    if method.statistics.contains(.fisherSumOfSquares) {
      statistics[.fisherSumOfSquares] = try sumsOfSquares(fishers, poll: poll)
    }
    let found = statistics
    let faults = TileSlots<Fault?>(count: tiles.count, initial: nil)
    try ParallelFor.run(count: tiles.count, threads: threads, poll: poll) { number in
      faults[number] = merge(tiles[number], method, fishers, found)
    }
    // The first by position, so that the message does not depend on the threads.
    if let fault = faults.values.lazy.compactMap({ $0 }).first { throw explain(fault) }
  }

  /// Merges a tile block by block.
  private func merge(
    _ tile: Tile, _ method: any MergeMethod, _ fishers: [FisherLookup],
    _ statistics: [ModelStatistic: [Double]]
  ) -> Fault? {
    let entry = plan.entries[tile.entry]
    // Only a tensor without elements has no address, and it has no tiles either.
    guard let address = entry.target.bytes.baseAddress else { return nil }
    let out = MutableElements(pointer: address, dtype: entry.target.dtype)
    let base = entry.base.flatMap(Elements.init)
    let models = entry.models.compactMap { Elements($0) }
    let operands = fishers.compactMap { $0(tile.entry) }
    let complete = operands.count == fishers.count ? operands : []
    let end = tile.offset + tile.count
    for start in stride(from: tile.offset, to: end, by: MergeExecutor.blockElements) {
      let count = min(MergeExecutor.blockElements, end - start)
      let block = MergeTile(
        base: base?.advanced(by: start), models: models.map { $0.advanced(by: start) },
        fishers: complete.map { $0.advanced(by: start) }, out: out.advanced(by: start),
        count: count, tensorKey: tensorKeys[tile.entry], offset: start, statistics: statistics)
      let outcome = method.merge(block)
      // Only a run with a fault is looked at again, for the element.
      if outcome.hasInvalidFisher, let (model, element) = invalidFisher(block) {
        return Fault(entry: tile.entry, element: start + element, model: model)
      }
      if outcome.hasNonFinite,
        let element = Kernels.firstNonFinite(block.out.readable, count: count)
      {
        return Fault(entry: tile.entry, element: start + element, model: nil)
      }
    }
    return nil
  }

  // MARK: Faults

  private struct Fault {
    let entry: Int
    let element: Int
    /// The model whose Fisher value is at fault; nil for a result.
    let model: Int?
  }

  /// The model and the place of the first Fisher value that is none.
  private func invalidFisher(_ block: MergeTile) -> (model: Int, element: Int)? {
    for (model, fisher) in block.fishers.enumerated() {
      if let element = Kernels.firstNegativeOrNonFinite(fisher.lower, count: block.count) {
        return (model, element)
      }
      if let upper = fisher.upper,
        let element = Kernels.firstNegativeOrNonFinite(upper, count: block.count)
      {
        return (model, element)
      }
    }
    return nil
  }

  private func explain(_ fault: Fault) -> DFMergeError {
    let tensor = plan.entries[fault.entry].target.name
    if let model = fault.model {
      let name = model < plan.modelNames.count ? plan.modelNames[model] : "\(model)"
      return DFMergeError(
        .nonFinite,
        "The Fisher value of model '\(name)' for element \(fault.element) of tensor '\(tensor)' is "
          + "negative, NaN or infinite; check the Fisher callback.",
        context: ["tensor": tensor, "model": name])
    }
    return DFMergeError(
      .nonFinite,
      "Element \(fault.element) of tensor '\(tensor)' is NaN or infinite after the merge; check "
        + "the inputs for NaN and for values beyond the range of the output's element type.",
      context: ["tensor": tensor])
  }

  // MARK: First pass

  private func sumsOfSquares(
    _ fishers: [FisherLookup], poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> [Double] {
    var sums: [Double] = []
    for fisher in fishers {
      // One partial sum per tile, added in tile order: the same bits for any number of threads.
      let partial = TileSlots<Double>(count: tiles.count, initial: 0)
      try ParallelFor.run(count: tiles.count, threads: threads, poll: poll) { number in
        let tile = tiles[number]
        guard let values = fisher(tile.entry)?.advanced(by: tile.offset) else { return }
        partial[number] = Kernels.sumOfSquares(values.lower, count: tile.count)
      }
      sums.append(partial.values.reduce(0, +))
    }
    return sums
  }
}

extension Elements {
  /// The elements of a tensor; nil for a tensor without elements that has no address.
  package init?(_ view: TensorView) {
    guard let address = view.bytes.baseAddress else { return nil }
    self.init(pointer: address, dtype: view.dtype)
  }
}
