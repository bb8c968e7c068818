import CDFMergeShims
import DFMergeCore
import Glibc
import Synchronization

/// Runs independent work items on several threads that live as long as the call.
package enum ParallelFor {
  /// Calls `body(i)` exactly once for each `i` in `0 ..< count`, on at most `threads` threads.
  ///
  /// The caller's thread is one of them; the others are made here and joined before the return,
  /// with every signal blocked but those of their own faults, so that the host's handlers run on
  /// the host's threads. `threads <= 0` means the CPUs that the process may run on. When the
  /// system refuses a thread, those there are do the work.
  ///
  /// Items are handed out in order by one atomic counter; which thread gets which is left to
  /// chance, so a result must depend on `i` only.
  ///
  /// - Parameter poll: Called on the caller's thread before each of its items, and about every 50
  ///   ms while it waits for the others. When it throws, no more items are handed out, those under
  ///   way are finished, and the error is thrown again. It is often called: make it cheap.
  package static func run(
    count: Int, threads: Int, poll: () throws(DFMergeError) -> Void,
    body: @Sendable (Int) -> Void
  ) throws(DFMergeError) {
    try runWithWorkers(count: count, threads: threads, poll: poll) { _, i in body(i) }
  }

  /// The same, with the number of the thread that does the item, `0 ..< workers(...)`: no two
  /// items are at work under one number at once, so each number may have memory of its own.
  /// - Parameter callerWorks: false for items that take long: the caller's thread only polls, and
  ///   as many others as it and they would be do the items.
  package static func runWithWorkers(
    count: Int, threads: Int, callerWorks: Bool = true, poll: () throws(DFMergeError) -> Void,
    body: @Sendable (_ worker: Int, _ item: Int) -> Void
  ) throws(DFMergeError) {
    guard count > 0 else { return }
    let others = workers(threads: threads, count: count) - (callerWorks ? 1 : 0)
    guard others > 0 else {
      for i in 0..<count {
        try poll()
        body(0, i)
      }
      return
    }
    let failure = withoutActuallyEscaping(body) { body in
      runShared(
        Work(count: count, callerWorks: callerWorks, body: body), workers: others,
        callerWorks: callerWorks, poll: poll)
    }
    if let failure { throw failure }
  }

  /// The most threads that work on `count` items at once; `threads` as in `run`.
  package static func workers(threads: Int, count: Int) -> Int {
    let wanted = threads > 0 ? threads : Int(dfmk_available_cpus())
    return max(min(wanted, count, maximumThreads), 1)
  }

  /// More threads than this never help, and would use up what the host may start.
  private static let maximumThreads = 1024
  private static let pollMilliseconds: Int64 = 50

  /// Returns the error of `poll`, so that `withoutActuallyEscaping` need not carry a typed throw.
  private static func runShared(
    _ work: Work, workers: Int, callerWorks: Bool, poll: () throws(DFMergeError) -> Void
  ) -> DFMergeError? {
    var running = start(work, workers)
    var failure: DFMergeError?
    do throws(DFMergeError) {
      // Without any other thread the caller has to.
      let callerWorks = callerWorks || running.isEmpty
      repeat { try poll() } while callerWorks && work.doNext(as: 0)
    } catch {
      failure = error
      work.stop()
    }
    while let thread = running.last {
      if dfmk_join(thread, pollMilliseconds) != ETIMEDOUT {
        running.removeLast()
      } else if failure == nil {
        do throws(DFMergeError) {
          try poll()
        } catch {
          failure = error
          work.stop()
        }
      }
    }
    return failure
  }

  /// Starts up to `workers` threads on `work`, which must outlive them.
  private static func start(_ work: Work, _ workers: Int) -> [pthread_t] {
    var started: [pthread_t] = []
    started.reserveCapacity(workers)
    // A thread inherits the mask of its maker: blocked before, it never sees a signal.
    var before = sigset_t()
    dfmk_block_signals(&before)
    let pointer = Unmanaged.passUnretained(work).toOpaque()
    for _ in 0..<workers {
      var thread = pthread_t()
      let status = pthread_create(
        &thread, nil,
        { pointer in
          guard let pointer else { return nil }
          let work = Unmanaged<Work>.fromOpaque(pointer).takeUnretainedValue()
          let worker = work.newWorker()
          while work.doNext(as: worker) {}
          return nil
        }, pointer)
      guard status == 0 else { break }
      started.append(thread)
    }
    dfmk_restore_signals(&before)
    return started
  }
}

/// What the threads of one call share.
private final class Work: Sendable {
  private let next = Atomic<Int>(0)
  private let count: Int
  private let lastWorker: Atomic<Int>
  private let body: @Sendable (Int, Int) -> Void

  init(count: Int, callerWorks: Bool, body: @escaping @Sendable (Int, Int) -> Void) {
    self.count = count
    lastWorker = Atomic(callerWorks ? 0 : -1)
    self.body = body
  }

  /// A number for a thread; the caller's own is 0 where it works.
  func newWorker() -> Int { lastWorker.wrappingAdd(1, ordering: .relaxed).newValue }

  /// Does one item, if any is left.
  func doNext(as worker: Int) -> Bool {
    // Each thread asks once too often at most, so the counter cannot run over.
    let i = next.wrappingAdd(1, ordering: .relaxed).oldValue
    guard i < count else { return false }
    body(worker, i)
    return true
  }

  /// Hands out no more items.
  func stop() { next.store(count, ordering: .relaxed) }
}
