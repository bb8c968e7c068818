import DFMergeCore
import DFMergeIO
import Synchronization

/// How a run is told to stop, and where its events go.
final class RunControl: @unchecked Sendable {
  // Sendable: the flag is atomic, `call` is only touched under the monitor, the stream's
  // continuation is made to be shared.

  /// Events that wait for a slow reader. Enough for the trials of a search that nobody looks at for
  /// a while; ten kilobytes.
  static let bufferedEvents = 256

  private let flag = Atomic<Bool>(false)
  private let monitor = Monitor()
  private let events: AsyncStream<ProgressEvent>.Continuation
  /// The async call of the host that is under way.
  private var call: Task<Void, Never>?

  init(events: AsyncStream<ProgressEvent>.Continuation) { self.events = events }

  /// Whether the run is to stop.
  var isCancelled: Bool { flag.load(ordering: .relaxed) }

  /// Stops the run, and cancels the async call that it waits for.
  func cancel() {
    flag.store(true, ordering: .relaxed)
    let running = monitor.locked { call }
    running?.cancel()
  }

  /// Says that the run waits for `task`; nil when it no longer does.
  func wait(for task: Task<Void, Never>?) {
    monitor.locked { call = task }
    // A cancel that came before the task was known here has not reached it.
    if isCancelled { task?.cancel() }
  }

  /// Hands an event to the reader, never waiting for it.
  func report(_ event: ProgressEvent) { events.yield(event) }

  /// - Throws: `.cancelled` when the run is to stop.
  func check() throws(DFMergeError) {
    if isCancelled { throw Search.stopped }
  }
}

/// What came of a run, once it is known.
final class RunOutcome<Value: Sendable, Failure: Error>: @unchecked Sendable {
  // Sendable: both fields are only touched under the monitor.
  private let monitor = Monitor()
  private var known: Result<Value, Failure>?
  private var waiting: [CheckedContinuation<Result<Value, Failure>, Never>] = []

  /// Waits without holding a thread.
  func value() async -> Result<Value, Failure> {
    await withCheckedContinuation { continuation in
      let found = monitor.locked { () -> Result<Value, Failure>? in
        if known == nil { waiting.append(continuation) }
        return known
      }
      if let found { continuation.resume(returning: found) }
    }
  }

  /// Called once, when the run is over.
  func set(_ result: Result<Value, Failure>) {
    let readers = monitor.locked {
      known = result
      defer { waiting = [] }
      return waiting
    }
    for reader in readers { reader.resume(returning: result) }
  }
}
