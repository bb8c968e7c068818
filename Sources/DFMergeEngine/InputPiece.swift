import DFMergeCore
import DFMergeKernels
import DFMergeMethods

/// The operands of a piece that is merged, ready to be cut into tiles.
struct InputPiece {
  private let whole: InputTile

  /// Reads what lies in files.
  init(
    _ executor: MergeExecutor, _ number: Int, _ piece: WorkPiece,
    _ lookups: [MergeExecutor.FisherLookup], _ statistics: [ModelStatistic: [Double]],
    kept: KeptElements? = nil, _ buffer: inout PieceBuffer
  ) throws(DFMergeError) {
    let entry = executor.plan.entries[number]
    // A whole tensor is one piece, which begins at 0.
    func elements(
      _ view: TensorView, _ buffer: inout PieceBuffer
    ) throws(DFMergeError) -> Elements {
      try buffer.elements(
        view, from: piece.offset, count: entry.count(of: view, forPieceOf: piece.count))
    }
    let base = try entry.base.map { (view) throws(DFMergeError) in try elements(view, &buffer) }
    var models: [Elements] = []
    for view in entry.models { models.append(try elements(view, &buffer)) }
    var partners: [String: [WholeInput]] = [:]
    for (name, views) in zip(entry.whole?.partners ?? [], entry.partners) {
      var inputs: [WholeInput] = []
      for view in views {
        inputs.append(WholeInput(try elements(view, &buffer), shape: view.shape))
      }
      partners[name] = inputs
    }
    let fishers = try executor.fishers(of: number, piece, lookups, &buffer)
    var bits: [UnsafeRawPointer] = []
    for view in entry.bits {
      bits.append(
        try buffer.load(
          view, offset: piece.offset / 8, count: MergePlan.Entry.bitBytes(piece.count)))
    }
    let bytes = executor.resources.workspaceBytes
    let workspace = UnsafeMutableRawBufferPointer(start: try buffer.take(bytes), count: bytes)
    whole = InputTile(
      base: base, models: models, fishers: fishers, count: piece.count, name: entry.output.name,
      shape: entry.mergedShape, tensorKey: executor.tensorKeys[number], offset: piece.offset,
      modelShapes: entry.whole == nil ? [] : entry.models.map(\.shape),
      dataShapes: entry.whole == nil ? [] : entry.fishers.map(\.shape), partners: partners,
      scalings: entry.scalings, statistics: statistics, bits: bits, numbers: executor.numbers,
      group: executor.groups[number], workspace: workspace,
      kept: kept?.elements(of: number, from: piece.offset))
  }

  /// The elements from number `start` of the piece on.
  func tile(from start: Int, count: Int) -> InputTile { whole.run(from: start, count: count) }
}

extension MergeExecutor {
  /// Calls `body` for every tile of the tensors that are merged, on several threads.
  /// - Parameters:
  ///   - entry: the only entry to look at; nil for all.
  ///   - memory: what `pieceMemory` has made, for many calls; nil makes it for this one.
  ///   - wholeUnits: whether tiles are blocks of whole units, or of `blockElements` elements.
  ///   - isWanted: whether to look at an entry; nil for all.
  ///   - kept: what tiles leave for the merge.
  func forEachInputTile(
    of entry: Int? = nil, in memory: AlignedBuffer? = nil, wholeUnits: Bool,
    isWanted: (@Sendable (_ entry: Int) -> Bool)? = nil, kept: KeptElements? = nil,
    statistics: [[ModelStatistic: [Double]]], fishers: [FisherLookup],
    poll: () throws(DFMergeError) -> Void,
    _ body:
      @Sendable (_ entry: Int, _ tile: InputTile, _ worker: Int) throws(DFMergeError) -> Void
  ) throws(DFMergeError) {
    try forEachMergePiece(
      of: entry, in: memory, wholeUnits: wholeUnits, isWanted: isWanted, poll: poll
    ) {
      (number, piece, buffer) throws(DFMergeError) in
      let inputs = try InputPiece(
        self, number, piece, fishers, statistics[number], kept: kept, &buffer)
      let length = wholeUnits ? blockLengths[number] : MergeExecutor.blockElements
      for start in stride(from: 0, to: piece.count, by: length) {
        try body(
          number, inputs.tile(from: start, count: min(length, piece.count - start)),
          buffer.worker)
      }
    }
  }
}
