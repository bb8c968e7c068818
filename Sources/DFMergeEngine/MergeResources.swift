import DFMergeCore
import DFMergeIO
import DFMergeKernels
import DFMergeMethods

/// What a merge takes: threads, memory and traffic. Known before a byte is read.
package struct MergeResources: Sendable {
  package let threads: Int
  /// The most elements of a piece of work.
  package let pieceElements: Int
  /// Bytes of one thread's piece.
  package let bufferBytes: Int
  /// The most memory beyond inputs and outputs that lie in memory.
  package let peakMemory: Int
  /// Bytes that are read: all, and those from files.
  package let bytesRead: Int
  package let fileBytesRead: Int
  package let bytesWritten: Int
  /// How often the inputs are gone through.
  package let passes: Int
  /// How often base and models are read, and what comes with the models.
  let weightReads: Int
  let dataReads: Int
  /// The smallest run of elements of each entry that its method works on.
  let unitLengths: [Int]
  /// The bytes of what methods keep from their sums for the merge; 0 where it is computed again.
  let keptBytes: Int
  /// The bytes that a method finds in its tiles' workspace.
  let workspaceBytes: Int

  /// The pieces that are tried, largest first: there must be some for every thread, and memory for
  /// them. The first is where reading and writing a file cost no more by the call than by the
  /// byte; in memory, smaller ones share out better.
  private static let pieceSizes = [1 << 18, 1 << 17, MergeExecutor.blockElements]

  /// - Throws: `.outOfMemory` when `settings.maxMemory` is less than the smallest piece takes.
  package init(
    _ plan: MergePlan, methods: MethodSet?, settings: MergeSettings, toFiles: Bool,
    readsFiles: Bool = true
  ) throws(DFMergeError) {
    let statistics =
      methods.map { set in (0..<set.placeCount).flatMap { set.passes(at: $0) } } ?? []
    let units = methods?.unitLengths(plan) ?? plan.entries.map { _ in 1 }
    let memory = methods?.memory(plan, units: units) ?? TileMemory()
    unitLengths = units
    workspaceBytes = memory.workspace
    let doubles = plan.entries.contains { $0.operands.contains { $0.dtype == .f64 } }
    let reads = statistics.reduce(into: (weights: 1, fishers: 1)) {
      $0.weights += $1.weightPasses(doubles: doubles)
      $0.fishers += $1.fisherPasses
    }
    passes = max(reads.weights, reads.fishers)
    (weightReads, dataReads) = (reads.weights, reads.fishers)
    var all = 0
    var fromFiles = 0
    func count(_ view: TensorView, bytes: Int, times: Int = 1) {
      let total = bytes.multipliedReportingOverflow(by: times).partialValue
      all &+= total
      if readsFiles, view.stored != nil { fromFiles &+= total }
    }
    for entry in plan.entries {
      if !entry.isPlain {
        for view in entry.operands { count(view, bytes: view.byteCount) }
        continue
      }
      for view in (entry.base.map { [$0] } ?? []) + entry.models {
        count(view, bytes: entry.mergedCount * (view.dtype.bitWidth / 8), times: reads.weights)
      }
      for view in entry.bits {
        count(view, bytes: MergePlan.Entry.bitBytes(entry.mergedCount), times: reads.weights)
      }
      for view in entry.fishers {
        count(view, bytes: entry.mergedCount * (view.dtype.bitWidth / 8), times: reads.fishers)
      }
      if let rest = entry.rest {
        let left = entry.output.shape.elementCount - entry.mergedCount
        count(rest, bytes: left * (rest.dtype.bitWidth / 8))
      }
    }
    for copy in plan.copies { count(copy.source, bytes: copy.source.byteCount) }
    bytesRead = all
    fileBytesRead = fromFiles
    let left = Set(plan.leftOut)
    bytesWritten = plan.outputs.reduce(0) {
      left.contains($1.name) ? $0 : $0 &+ $1.byteCount
    }

    let fixed =
      MergeResources.fixedBytes(plan, statistics)
      + (toFiles ? CheckpointWriter.stagingByteCount : 0)
    let perThread =
      MergeResources.threadBytes + memory.heap
      + statistics.reduce(0) { max($0, StatisticsPass.threadBytes($1, plan)) }
    let wanted = ParallelFor.workers(
      threads: settings.threads, count: MergeResources.mostItems(plan))
    let sizes = MergeResources.pieceSizes.map { elements in
      let bytes = MergeResources.pieceBytes(
        plan, elements: elements, units: units, toFiles: toFiles, readsFiles: readsFiles)
      return (elements: elements, bytes: bytes + memory.workspace)
    }
    let smallest = sizes[sizes.count - 1]
    var chosen: (threads: Int, elements: Int, bytes: Int)?
    let limit = settings.maxMemory ?? Int.max
    let usesFiles = toFiles || fromFiles > 0
    let elementCount = plan.elementCount
    // More threads before larger pieces.
    search: for threads in stride(from: wanted, through: 1, by: -1) {
      for (elements, bytes) in sizes
      where elements == smallest.elements
        || usesFiles && elementCount / elements >= 4 * threads
      {
        if fixed + threads * (bytes + perThread) <= limit {
          chosen = (threads, elements, bytes)
          break search
        }
      }
    }
    guard let chosen else {
      let least = fixed + perThread + smallest.bytes
      throw DFMergeError(
        .outOfMemory,
        "max_memory is \(limit) bytes, but this merge needs \(least) at least; raise it.",
        context: ["option": "max_memory"])
    }
    threads = chosen.threads
    pieceElements = chosen.elements
    bufferBytes = chosen.bytes
    let needed = fixed + chosen.threads * (chosen.bytes + perThread)
    let kept = methods.map { KeptElements.byteCount(plan, $0) } ?? 0
    let room = settings.maxMemory.map { $0 - needed } ?? KeptElements.mostBytes
    keptBytes = kept <= room ? kept : 0
    peakMemory = needed + keptBytes
  }

  /// The most items that the plan is dealt out in (see ``WorkList``): more threads than that would
  /// take memory and have nothing to do.
  private static func mostItems(_ plan: MergePlan) -> Int {
    let elements = plan.entries.reduce(0) { $0 &+ $1.output.shape.elementCount }
    let total = plan.copies.reduce(elements) { $0 &+ $1.output.byteCount }
    // Any two items in a row are together more than a piece.
    return max(total, 0) / MergeExecutor.blockElements * 2 + 1
  }

  /// The stack that a thread touches, and the workspace of a kernel on it.
  private static let threadBytes = 160 << 10

  /// What does not depend on threads: the plan's own tables and the method's statistics.
  private static func fixedBytes(_ plan: MergePlan, _ statistics: [JointStatistics]) -> Int {
    let tensors = plan.entries.reduce(0) { $0 + 1 + $1.operands.count } + plan.copies.count * 2
    return tensors * 400
      + statistics.reduce(0) { $0 + StatisticsPass.bytes($1, plan) }
  }

  /// Bytes of one thread's piece of at most `elements` elements.
  static func pieceBytes(
    _ plan: MergePlan, elements: Int, units: [Int], toFiles: Bool, readsFiles: Bool
  ) -> Int {
    func slot(_ view: TensorView, _ count: Int) -> Int {
      guard readsFiles, view.stored != nil else { return 0 }
      return PieceBuffer.slotBytes(elements: count, dtype: view.dtype)
    }
    var most = 0
    for (number, entry) in plan.entries.enumerated() {
      let length = WorkList.pieceLength(unit: units[number], most: elements)
      let count = min(max(length, elements), entry.output.shape.elementCount)
      let out = toFiles ? PieceBuffer.slotBytes(elements: count, dtype: entry.output.dtype) : 0
      // Bits take an eighth of a byte per element, in slots of 64 bytes.
      let bits = (MergePlan.Entry.bitBytes(count) + 63) & ~63
      let packed =
        bits * entry.bits.count { readsFiles && $0.stored != nil }
        + (toFiles ? bits * entry.bitOutputs.count : 0)
      most = max(
        most,
        entry.operands.reduce(out + packed) {
          $0 + slot($1, entry.count(of: $1, forPieceOf: count))
        })
      if let rest = entry.rest { most = max(most, out + slot(rest, count)) }
    }
    for copy in plan.copies {
      if copy.source.dtype == copy.output.dtype {
        // Copied as bytes, at most `4 * elements` of them, from the slot that they are read into.
        let count = (min(elements * 4, copy.output.byteCount) + 63) & ~63
        if readsFiles, copy.source.stored != nil { most = max(most, count) }
      } else {
        let count = min(elements, copy.output.shape.elementCount)
        let out = toFiles ? PieceBuffer.slotBytes(elements: count, dtype: copy.output.dtype) : 0
        most = max(most, out + slot(copy.source, count))
      }
    }
    return most
  }
}
