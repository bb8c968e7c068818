/// Temporary memory of one kernel call: a table of input addresses, and slots of one chunk each.
///
/// Slots hold widened inputs, weights and results. They are small enough together to stay in a
/// core's own cache: with many inputs, the chunks get shorter.
struct Workspace {
  /// Where each input of the chunk at hand is read; two entries per model.
  let models: UnsafeMutablePointer<UnsafeRawPointer>
  let weights: UnsafeMutablePointer<UnsafeRawPointer>
  /// Elements per chunk, a multiple of eight.
  let chunkSize: Int
  private let slots: UnsafeMutableRawPointer

  /// Memory of slot `index`: `chunkSize` doubles, aligned to 64 bytes.
  @inline(__always)
  func slot(_ index: Int) -> UnsafeMutableRawPointer { slots + index &* chunkSize &* 8 }

  /// An address that stands for an array without elements.
  @inline(__always)
  var noNumbers: UnsafePointer<Double>? {
    UnsafeRawPointer(slots).assumingMemoryBound(to: Double.self)
  }

  /// Bytes that all slots take together, unless there are so many that chunks would get tiny.
  private static let slotBudget = 65536
  private static let chunkRange = 64...1024

  /// Calls `body` with a workspace for `models` models and `slots` slots.
  @inline(__always)
  static func with(models: Int, slots: Int, _ body: (Workspace) -> Void) {
    let fitting = (slotBudget / 8 / max(slots, 1)) & ~7
    let chunkSize = min(max(fitting, chunkRange.lowerBound), chunkRange.upperBound)
    let tableBytes = (models &* 8 &+ 63) & ~63
    withUnsafeTemporaryAllocation(
      byteCount: 2 &* tableBytes &+ slots &* chunkSize &* 8, alignment: 64
    ) { memory in
      guard let start = memory.baseAddress else { return }
      let unset = UnsafeRawPointer(start)
      let workspace = Workspace(
        models: start.initializeMemory(
          as: UnsafeRawPointer.self, repeating: unset, count: models),
        weights: (start + tableBytes).initializeMemory(
          as: UnsafeRawPointer.self, repeating: unset, count: models),
        chunkSize: chunkSize, slots: start + 2 &* tableBytes)
      body(workspace)
    }
  }
}
