import DFMergeCore
import DFMergeIO
import DFMergeKernels
import DFMergeMethods
import Synchronization

/// Carries out a plan: several threads read pieces of the inputs, run a method over them and write
/// the result.
package struct MergeExecutor: Sendable {
  /// Elements that a method gets at a time. Fixed, so that no sum that is reported can depend on
  /// the number of threads or the size of pieces.
  package static let blockElements = 1 << 16

  /// Results of more bytes than this are written past the caches: more than most caches hold.
  private static let cachedBytes = 1 << 25

  package let plan: MergePlan
  package let target: MergeTarget
  package let resources: MergeResources
  let allowsNonFinite: Bool
  /// What else helps where a result is not finite, as the end of a sentence: "or ...".
  let nonFiniteRemedy: String
  private let readsFiles: Bool
  let list: WorkList
  /// The same in pieces of any elements, for statistics that need no whole units.
  private let plainList: WorkList
  /// The most elements of a block of whole units, by entry.
  let blockLengths: [Int]
  let tensorKeys: [UInt64]
  /// The group of each entry of the plan.
  let groups: [Int]
  /// The vectors that the method reads, by name; see ``SideTensors``.
  private(set) var numbers: [String: [Double]] = [:]
  private let bypassesCache: Bool
  /// Counts the bytes of outputs that were gone through, in every pass.
  private let completed: CompletedBytes?

  /// For a search: memory is written again and again, and files are used as they are mapped, for
  /// they are read again with every candidate.
  /// - Parameters:
  ///   - threads: 0 means one per available core.
  ///   - methods: what it will run; nil for methods that ask for nothing but elements.
  ///   - groups: the group of each entry of the plan, for methods with coefficients by group.
  ///   - nonFiniteRemedy: what the search has to offer where a result is not finite: "or ...".
  package init(
    plan: MergePlan, target: [MutableTensorView], methods: MethodSet? = nil, threads: Int,
    completed: CompletedBytes? = nil, groups: [Int], nonFiniteRemedy: String
  ) throws(DFMergeError) {
    let settings = try MergeSettings(.object(["threads": .int(Int64(min(threads, 1024)))]))
    let resources = try MergeResources(
      plan, methods: methods, settings: settings, toFiles: false, readsFiles: false)
    self.init(
      plan: plan, target: .memory(target), resources: resources, settings: settings,
      readsFiles: false, completed: completed, groups: groups, nonFiniteRemedy: nonFiniteRemedy)
  }

  /// For one merge; `resources` are those of the plan and the method.
  package init(
    plan: MergePlan, target: MergeTarget, resources: MergeResources, settings: MergeSettings,
    readsFiles: Bool = true, completed: CompletedBytes? = nil, groups: [Int]? = nil,
    nonFiniteRemedy: String = "or allow such values (non_finite: allow)"
  ) {
    self.plan = plan
    self.target = target
    self.resources = resources
    self.readsFiles = readsFiles
    self.completed = completed
    allowsNonFinite = settings.allowsNonFinite
    self.nonFiniteRemedy = nonFiniteRemedy
    let plain = WorkList(plan, elements: resources.pieceElements)
    plainList = plain
    list =
      resources.unitLengths.contains { $0 > 1 }
      ? WorkList(plan, elements: resources.pieceElements, units: resources.unitLengths) : plain
    blockLengths = resources.unitLengths.map { WorkList.blockLength(unit: $0) }
    tensorKeys = plan.entries.map { CounterRandom.key(of: $0.output.name) }
    self.groups = groups ?? plan.entries.map { _ in 0 }
    // What goes to a file is copied from the buffer at once.
    let isMemory = if case .memory = target { true } else { false }
    bypassesCache = isMemory && resources.bytesWritten > MergeExecutor.cachedBytes
  }

  /// Fisher values of one model, by number of the plan's entry; nil where a tensor has none.
  package typealias FisherLookup = @Sendable (_ entry: Int) -> FisherElements?

  /// Writes every output.
  ///
  /// - Parameters:
  ///   - fishers: one lookup per model that replaces the plan's Fisher values, or empty.
  ///   - poll: called on the calling thread between pieces; throws to stop. The target is then
  ///     partly written.
  /// - Returns: what the kernels noticed, added in the order of the elements, and the methods'
  ///   figures.
  /// - Throws: `.nonFinite` when Fisher values are negative, NaN or infinite, or a result is NaN or
  ///   infinite and that is not allowed; `.ioFailure`; what `poll` throws.
  @discardableResult
  package func run(
    _ methods: MethodSet, fishers: [FisherLookup] = [],
    poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> (stored: StoreOutcome, figures: [String: Double]) {
    if numbers.isEmpty, !plan.numbers.isEmpty {
      var ready = self
      for view in plan.numbers { ready.numbers[view.name] = try view.doubles() }
      return try ready.run(methods, fishers: fishers, poll: poll)
    }
    let kept = resources.keptBytes > 0 ? try KeptElements(plan, methods) : nil
    var pass = StatisticsPass(self, methods, fishers, kept: kept)
    let found = try pass.run(poll: poll)
    try write(methods.instances[0].numbers(found.first ?? [:]))
    let outcomes = TileSlots<StoreOutcome>(count: list.pieces.count, initial: StoreOutcome())
    try forEachPiece(of: list.items, poll: poll) { (number, buffer) throws(DFMergeError) in
      let piece = list.pieces[number]
      let bytes: UnsafeRawBufferPointer
      switch piece.kind {
      case .merge(let entry):
        let inputs = try InputPiece(
          self, entry, piece, fishers, found[entry], kept: kept, &buffer)
        bytes = try merge(entry, piece, methods[entry], inputs, &buffer, &outcomes[number])
      case .convert(let source): bytes = try convert(source, piece, &buffer, &outcomes[number])
      case .bytes(let source): bytes = try copy(source, piece, &buffer)
      }
      try hand(out: bytes, of: piece)
    }
    let stored = outcomes.values.reduce(into: StoreOutcome()) { $0.add($1) }
    return (stored, found.first.map { methods[0].reported($0) } ?? [:])
  }

  /// Writes what was computed for a piece wherever it belongs.
  private func hand(
    out bytes: UnsafeRawBufferPointer, of piece: WorkPiece
  ) throws(DFMergeError) {
    var positions = [piece.position]
    if case .merge(let entry) = piece.kind { positions = plan.entries[entry].positions }
    let width = if case .bytes = piece.kind { 8 } else { piece.output.dtype.bitWidth }
    let offset = piece.offset * width / 8
    for position in positions {
      switch target {
      case .sink(let sink, let tensors):
        if let tensor = tensors[position] { try sink.write(bytes, tensor: tensor, at: offset) }
      case .memory(let views):
        // The first has been computed in its place.
        guard position != piece.position, let start = bytes.baseAddress else { break }
        views[position].bytes.baseAddress?.advanced(by: offset)
          .copyMemory(from: start, byteCount: bytes.count)
      }
      completed?.add(piece.byteCount)
    }
  }

  /// Where a piece's elements or bytes go: the host's memory, or a slot to be written from.
  private func place(
    _ piece: WorkPiece, _ buffer: inout PieceBuffer
  ) throws(DFMergeError) -> UnsafeMutableRawPointer {
    switch target {
    case .sink: return try buffer.take(piece.byteCount)
    case .memory(let views):
      guard let start = views[piece.position].bytes.baseAddress else {
        throw DFMergeError(.internalError, "A piece has no memory; please report this.")
      }
      if case .bytes = piece.kind { return start + piece.offset }
      return start + piece.offset * (piece.output.dtype.bitWidth / 8)
    }
  }

  private func merge(
    _ number: Int, _ piece: WorkPiece, _ method: any MergeMethod, _ inputs: InputPiece,
    _ buffer: inout PieceBuffer, _ outcome: inout StoreOutcome
  ) throws(DFMergeError) -> UnsafeRawBufferPointer {
    let entry = plan.entries[number]
    let address = try place(piece, &buffer)
    let out = MutableElements(
      pointer: address, dtype: entry.output.dtype, bypassesCache: bypassesCache)
    var bits: [UnsafeMutableRawPointer] = []
    for position in entry.bitOutputs { bits.append(try place(bits: position, piece, &buffer)) }
    for start in stride(from: 0, to: piece.count, by: blockLengths[number]) {
      let count = min(blockLengths[number], piece.count - start)
      let block = MergeTile(
        inputs.tile(from: start, count: count), out: out.advanced(by: start),
        bitsOut: bits.map { $0 + start / 8 })
      let noticed = try method.merge(block)
      if noticed.hasInvalidFisher || (noticed.hasNonFinite && !allowsNonFinite) {
        try explain(block, in: entry)
      }
      outcome.add(noticed)
    }
    if case .sink(let sink, let tensors) = target {
      for (position, start) in zip(entry.bitOutputs, bits) {
        guard let tensor = tensors[position] else { continue }
        let bytes = UnsafeRawBufferPointer(
          start: start, count: MergePlan.Entry.bitBytes(piece.count))
        try sink.write(bytes, tensor: tensor, at: piece.offset / 8)
      }
    }
    return UnsafeRawBufferPointer(start: address, count: piece.byteCount)
  }

  /// Where the bits of a piece go that are an output of their own.
  private func place(
    bits position: Int, _ piece: WorkPiece, _ buffer: inout PieceBuffer
  ) throws(DFMergeError) -> UnsafeMutableRawPointer {
    switch target {
    case .sink: return try buffer.take(MergePlan.Entry.bitBytes(piece.count))
    case .memory(let views):
      guard let start = views[position].bytes.baseAddress else {
        throw DFMergeError(.internalError, "A piece has no memory; please report this.")
      }
      return start + piece.offset / 8
    }
  }

  /// Writes the vectors that stand beside the merged tensors.
  private func write(_ vectors: [[Double]]) throws(DFMergeError) {
    for (position, vector) in zip(plan.numberOutputs, vectors) {
      let values = try AlignedBuffer(byteCount: plan.outputs[position].byteCount)
      for (number, value) in vector.enumerated() where number * 8 < values.bytes.count {
        values.bytes.storeBytes(of: value, toByteOffset: number * 8, as: Double.self)
      }
      let bytes = UnsafeRawBufferPointer(values.bytes)
      switch target {
      case .memory(let views): views[position].bytes.copyMemory(from: bytes)
      case .sink(let sink, let tensors):
        if let tensor = tensors[position] { try sink.write(bytes, tensor: tensor, at: 0) }
      }
    }
  }

  private func convert(
    _ source: TensorView, _ piece: WorkPiece, _ buffer: inout PieceBuffer,
    _ outcome: inout StoreOutcome
  ) throws(DFMergeError) -> UnsafeRawBufferPointer {
    let address = try place(piece, &buffer)
    let from = try buffer.elements(source, from: piece.offset, count: piece.count)
    let out = MutableElements(
      pointer: address, dtype: piece.output.dtype, bypassesCache: bypassesCache)
    for start in stride(from: 0, to: piece.count, by: MergeExecutor.blockElements) {
      let count = min(MergeExecutor.blockElements, piece.count - start)
      let noticed = Kernels.convert(
        into: out.advanced(by: start), from.advanced(by: start), count: count)
      if noticed.hasNonFinite, !allowsNonFinite {
        try explain(
          out.advanced(by: start), count: count, at: piece.offset + start, of: piece.output.name)
      }
      outcome.add(noticed)
    }
    return UnsafeRawBufferPointer(start: address, count: piece.byteCount)
  }

  private func copy(
    _ source: TensorView, _ piece: WorkPiece, _ buffer: inout PieceBuffer
  ) throws(DFMergeError) -> UnsafeRawBufferPointer {
    let from = try buffer.load(source, offset: piece.offset, count: piece.count)
    if case .memory = target {
      try place(piece, &buffer).copyMemory(from: from, byteCount: piece.count)
    }
    return UnsafeRawBufferPointer(start: from, count: piece.count)
  }

  /// The Fisher values of a piece; none unless every model has some.
  func fishers(
    of number: Int, _ piece: WorkPiece, _ lookups: [FisherLookup], _ buffer: inout PieceBuffer
  ) throws(DFMergeError) -> [FisherElements] {
    if lookups.isEmpty {
      var values: [FisherElements] = []
      for view in plan.entries[number].fishers {
        let count = plan.entries[number].count(of: view, forPieceOf: piece.count)
        let elements = try buffer.elements(view, from: piece.offset, count: count)
        values.append(FisherElements(lower: elements))
      }
      return values
    }
    let values = lookups.compactMap { $0(number)?.advanced(by: piece.offset) }
    return values.count == lookups.count ? values : []
  }

  // MARK: Pieces

  /// Calls `body` for the pieces that are merged, with the number of their entry; not for tensors
  /// that are made in one tile, which statistics leave out.
  /// - Parameters:
  ///   - entry: the only entry to look at; nil for all.
  ///   - memory: what `pieceMemory` has made, for many calls; nil makes it for this one.
  ///   - wholeUnits: whether pieces are made of whole units.
  ///   - isWanted: whether to look at an entry; nil for all.
  func forEachMergePiece(
    of entry: Int? = nil, in memory: AlignedBuffer? = nil, wholeUnits: Bool = false,
    isWanted: (@Sendable (_ entry: Int) -> Bool)? = nil, poll: () throws(DFMergeError) -> Void,
    _ body:
      @Sendable (_ entry: Int, _ piece: WorkPiece, _ buffer: inout PieceBuffer)
      throws(DFMergeError) -> Void
  ) throws(DFMergeError) {
    let list = wholeUnits ? list : plainList
    let items = entry.map { list.entries[$0].map { $0..<$0 + 1 } } ?? list.items
    try forEachPiece(of: items, in: memory, poll: poll) { (number, buffer) throws(DFMergeError) in
      let piece = list.pieces[number]
      guard case .merge(let entry) = piece.kind, plan.entries[entry].isPlain,
        isWanted?(entry) ?? true
      else { return }
      try body(entry, piece, &buffer)
      completed?.add(piece.byteCount)
    }
  }

  /// Memory for the pieces of all threads.
  func pieceMemory() throws(DFMergeError) -> AlignedBuffer {
    try AlignedBuffer(byteCount: resources.threads * resources.bufferBytes)
  }

  /// Calls `body` once for each piece, on several threads, with the thread's own memory.
  /// - Throws: what `poll` throws; otherwise the error of the first piece that has one.
  private func forEachPiece(
    of items: [Range<Int>], in given: AlignedBuffer? = nil, poll: () throws(DFMergeError) -> Void,
    _ body: @Sendable (_ piece: Int, _ buffer: inout PieceBuffer) throws(DFMergeError) -> Void
  ) throws(DFMergeError) {
    let memory = if let given { given } else { try pieceMemory() }
    let failures = TileSlots<DFMergeError?>(count: items.count, initial: nil)
    let hasFailed = Atomic<Bool>(false)
    let share = resources.bufferBytes
    let readsFiles = readsFiles
    do throws(DFMergeError) {
      try ParallelFor.runWithWorkers(
        count: items.count, threads: resources.threads,
        poll: { () throws(DFMergeError) in
          try poll()
          // Ends the hand-out; the error is taken from its slot below.
          if hasFailed.load(ordering: .relaxed) { throw DFMergeError(.cancelled, "") }
        },
        body: { worker, item in
          let own = UnsafeMutableRawBufferPointer(
            rebasing: memory.bytes[worker * share..<(worker + 1) * share])
          do throws(DFMergeError) {
            for number in items[item] {
              var buffer = PieceBuffer(own, worker: worker, readsFiles: readsFiles)
              try body(number, &buffer)
            }
          } catch {
            failures[item] = error
            hasFailed.store(true, ordering: .relaxed)
          }
        })
    } catch {
      guard hasFailed.load(ordering: .relaxed), error.message.isEmpty else { throw error }
    }
    // Items are handed out in order, so all before the first failure were done: which error is
    // thrown does not depend on the threads.
    if let failure = failures.values.lazy.compactMap({ $0 }).first { throw failure }
  }
}

/// The bytes of outputs that a merge has gone through so far, in every pass; read by the thread that waits for it.
package final class CompletedBytes: Sendable {
  private let count = Atomic<Int>(0)

  package init() {}

  package var value: Int { count.load(ordering: .relaxed) }

  func add(_ bytes: Int) { count.wrappingAdd(bytes, ordering: .relaxed) }
}

extension Elements {
  /// The elements of a tensor; nil for a tensor without elements that has no address.
  package init?(_ view: TensorView) {
    guard let address = view.bytes.baseAddress else { return nil }
    self.init(pointer: address, dtype: view.dtype)
  }
}
