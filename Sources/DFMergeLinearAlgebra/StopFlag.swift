import CDFMergeDense
import DFMergeCore

/// Stops the factorisations, products and solutions that other threads are in.
package final class StopFlag: Sendable {
  /// Written by `raise` and read by the C functions, atomically.
  nonisolated(unsafe) private let value: UnsafeMutablePointer<Int32>

  package init() {
    value = .allocate(capacity: 1)
    value.initialize(to: 0)
  }

  deinit { value.deallocate() }

  /// From now on what runs under ``watched(_:)`` throws `.cancelled`, within about 50 ms.
  package func raise() { dfmd_raise(value) }

  /// Runs `body`, whose operations on matrices on this thread look at the flag. Not to be nested.
  package func watched<Result>(
    _ body: () throws(DFMergeError) -> Result
  ) throws(DFMergeError) -> Result {
    dfmd_watch(value)
    defer { dfmd_watch(nil) }
    return try body()
  }
}
