/// Temporary memory of one kernel call: slots of one chunk each.
///
/// Slots hold widened inputs. They are small enough together to stay in a core's own cache: with
/// many of them, the chunks get shorter.
struct Workspace {
  /// Elements per chunk, a multiple of eight.
  let chunkSize: Int
  private let slots: UnsafeMutableRawPointer

  /// Memory of slot `index`: `chunkSize` doubles, aligned to 64 bytes.
  @inline(__always)
  func slot(_ index: Int) -> UnsafeMutableRawPointer { slots + index &* chunkSize &* 8 }

  /// Bytes that all slots take together, unless there are so many that chunks would get tiny.
  private static let slotBudget = 65536
  private static let chunkRange = 64...1024

  /// Calls `body` with a workspace of `slots` slots.
  @inline(__always)
  static func with(slots: Int, _ body: (Workspace) -> Void) {
    let fitting = (slotBudget / 8 / max(slots, 1)) & ~7
    let chunkSize = min(max(fitting, chunkRange.lowerBound), chunkRange.upperBound)
    withUnsafeTemporaryAllocation(byteCount: slots &* chunkSize &* 8, alignment: 64) { memory in
      guard let start = memory.baseAddress else { return }
      body(Workspace(chunkSize: chunkSize, slots: start))
    }
  }
}
