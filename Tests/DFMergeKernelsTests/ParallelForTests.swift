import DFMergeCore
import DFMergeKernels
import Glibc
import Synchronization
import Testing

@Suite("ParallelFor")
struct ParallelForTests {
  /// A count that several threads add to. Atomic: sanitizers do not see what a Mutex orders.
  private final class Count: Sendable {
    private let value = Atomic<Int>(0)
    func add() { value.wrappingAdd(1, ordering: .relaxed) }
    var now: Int { value.load(ordering: .relaxed) }
  }

  /// One count per item.
  private struct Counts: Sendable {
    private let counts: [Count]
    init(_ n: Int) { counts = (0..<n).map { _ in Count() } }
    func add(_ i: Int) { counts[i].add() }
    var all: [Int] { counts.map(\.now) }
  }

  @Test(arguments: [-1, 0, 1, 2, 3, 4, 8, 17, 64])
  func everyItemOnce(threads: Int) throws {
    for count in [0, 1, 2, 3, 10, 1000] {
      let counts = Counts(count)
      try ParallelFor.run(count: count, threads: threads, poll: neverStop) { counts.add($0) }
      #expect(counts.all == [Int](repeating: 1, count: count))
    }
  }

  @Test func negativeCountIsNothing() throws {
    try ParallelFor.run(count: -3, threads: 2, poll: neverStop) { _ in Issue.record("called") }
  }

  @Test(arguments: [1, 2, 4])
  func errorOfPollStopsAndIsThrownAgain(threads: Int) {
    let counts = Counts(100_000)
    var polls = 0
    let poll = { () throws(DFMergeError) in
      polls += 1
      if polls == 3 { throw DFMergeError(.cancelled, "Stopped by the test.") }
    }
    let error = #expect(throws: DFMergeError.self) {
      try ParallelFor.run(count: 100_000, threads: threads, poll: poll) {
        counts.add($0)
        usleep(10)
      }
    }
    #expect(error?.code == .cancelled)
    let done = counts.all
    #expect(polls == 3 && done.reduce(0, +) < 100_000)
    // What was handed out is a beginning of the items, each done once.
    let end = done.firstIndex(of: 0) ?? done.count
    #expect(done[..<end].allSatisfy { $0 == 1 } && done[end...].allSatisfy { $0 == 0 })
  }

  @Test func pollRunsOnTheCallersThreadWhileItWaits() throws {
    let caller = pthread_self()
    var polls = 0
    var isElsewhere = false
    let poll = { () throws(DFMergeError) in
      polls += 1
      if pthread_equal(pthread_self(), caller) == 0 { isElsewhere = true }
    }
    // Two items, so the caller has one at most; the items of other threads last 300 ms.
    try ParallelFor.run(count: 2, threads: 2, poll: poll) { _ in
      if pthread_equal(pthread_self(), caller) == 0 { usleep(300_000) } else { usleep(20_000) }
    }
    #expect(polls >= 4 && !isElsewhere)
  }

  @Test func pollStopsTheWait() {
    let caller = pthread_self()
    let counts = Counts(64)
    var polls = 0
    let poll = { () throws(DFMergeError) in
      polls += 1
      if polls > 3 { throw DFMergeError(.cancelled, "Stopped by the test.") }
    }
    #expect(throws: DFMergeError.self) {
      try ParallelFor.run(count: 64, threads: 2, poll: poll) { i in
        counts.add(i)
        usleep(pthread_equal(pthread_self(), caller) == 0 ? 400_000 : 1000)
      }
    }
    #expect(counts.all.reduce(0, +) < 64)
  }

  /// Signals of the process are for the host's threads; a thread's own faults must reach a handler.
  @Test func workersBlockSignalsAndTheCallerKeepsItsMask() throws {
    let caller = pthread_self()
    // The test's own thread may block signals already: here it has none blocked, but one.
    var asked = sigset_t()
    var original = sigset_t()
    sigemptyset(&asked)
    sigaddset(&asked, SIGUSR2)
    pthread_sigmask(SIG_SETMASK, &asked, &original)
    let wrong = Count()
    let workers = Count()
    try ParallelFor.run(count: 8, threads: 4, poll: neverStop) { _ in
      usleep(20_000)
      guard pthread_equal(pthread_self(), caller) == 0 else { return }
      var mask = sigset_t()
      pthread_sigmask(SIG_SETMASK, nil, &mask)
      let blocks = [SIGINT, SIGTERM, SIGALRM, SIGUSR1, SIGCHLD].allSatisfy {
        sigismember(&mask, $0) == 1
      }
      let passes = [SIGSEGV, SIGBUS, SIGFPE, SIGILL].allSatisfy { sigismember(&mask, $0) == 0 }
      workers.add()
      if !blocks || !passes { wrong.add() }
    }
    var after = sigset_t()
    pthread_sigmask(SIG_SETMASK, &original, &after)
    #expect(wrong.now == 0 && workers.now > 0)
    #expect(sigismember(&after, SIGUSR2) == 1)
    for signal in [SIGINT, SIGTERM, SIGUSR1] { #expect(sigismember(&after, signal) == 0) }
  }

  @Test func callsNest() throws {
    let counts = Counts(40)
    try ParallelFor.run(count: 4, threads: 2, poll: neverStop) { outer in
      do {
        try ParallelFor.run(count: 10, threads: 3, poll: neverStop) { counts.add(outer * 10 + $0) }
      } catch {
        Issue.record(error)
      }
    }
    #expect(counts.all == [Int](repeating: 1, count: 40))
  }
}
