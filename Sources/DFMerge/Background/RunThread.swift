import CDFMergeShims
import DFMergeCore
import Glibc

/// A thread for one run.
enum RunThread {
  /// As much as a program's first thread usually has: the host's own code runs here.
  private static let stackBytes = 8 << 20

  /// What debuggers and `ps -T` call the thread, and those that it makes for a merge.
  static let name = "dfmerge-run"

  /// Calls `body` on a new thread, frees it and what it holds, and then calls `then` there.
  ///
  /// The thread blocks every signal but those of its own faults, so that the host's handlers run on
  /// the host's threads, and is detached: it ends by itself right after `then`.
  /// - Returns: why there is no thread, `.threadFailure`; nothing is called then.
  static func start<Value>(
    _ body: sending @escaping () -> Value, then: @escaping @Sendable (Value) -> Void
  ) -> DFMergeError? {
    let job = Unmanaged.passRetained(Job(body, then: then) as AnyJob)
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    pthread_attr_setstacksize(&attributes, stackBytes)
    // A thread inherits the mask of its maker: blocked before, it never sees a signal.
    var before = sigset_t()
    dfmk_block_signals(&before)
    defer { dfmk_restore_signals(&before) }
    var thread = pthread_t()
    let status = pthread_create(
      &thread, &attributes,
      { pointer in
        guard let pointer else { return nil }
        _ = dfmk_pthread_setname(pthread_self(), RunThread.name)
        Unmanaged<AnyJob>.fromOpaque(pointer).takeRetainedValue().run()
        return nil
      }, job.toOpaque())
    guard status == 0 else {
      job.release()
      return DFMergeError(
        .threadFailure,
        "A thread for the run could not be started: \(String(cString: strerror(status))); let "
          + "other runs finish first.")
    }
    return nil
  }
}

/// A job whatever its value is: a C function knows no generics.
private class AnyJob {
  func run() {}
}

private final class Job<Value>: AnyJob {
  private var body: (() -> Value)?
  private let then: @Sendable (Value) -> Void

  init(_ body: @escaping () -> Value, then: @escaping @Sendable (Value) -> Void) {
    self.body = body
    self.then = then
  }

  override func run() {
    if let value = valueOnce() { then(value) }
  }

  /// Not inlined: the body and all that it holds are freed when this returns.
  @inline(never)
  private func valueOnce() -> Value? {
    let body = self.body
    self.body = nil
    return body?()
  }
}
