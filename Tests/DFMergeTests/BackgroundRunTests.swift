import Glibc
import Synchronization
import Testing

@testable import DFMerge
@testable import DFMergeCore

/// Searches in the background. One test at a time: some count the threads of runs.
@Suite(.serialized) struct BackgroundRunTests {
  static let options = #"{"trials":9,"seed":4,"initial":4}"#

  /// Starts a search with a synchronous host, and says where its merged weights will stand.
  static func start(
    _ options: String = options, journal: String? = nil,
    before: (@Sendable (Int) throws(DFMergeError) -> Bool)? = nil
  ) throws -> (run: SearchRun, target: [MutableTensorView]) {
    let fixture = try SearchFixture()
    if let before { fixture.beforeEvaluation = before }
    // With the memory's owner, for the fixture goes when the run is over.
    let target = fixture.target
    let search = try fixture.search(options)
    return (Search.start(search, journal: journal, host: fixture), target)
  }

  @Test(arguments: [options, #"{"trials":8,"seed":2,"initial":3,"subset_share":0.3,"threads":1}"#])
  func testResult_isTheSynchronousOneBitForBit(_ options: String) async throws {
    let expected = try Findings.synchronous(options)
    let (run, target) = try BackgroundRunTests.start(options)
    let result = try await run.result
    #expect(Findings(result, merged: floats(target)) == expected)
  }

  @Test func testProgress_comesInOrderAndEnds() async throws {
    final class Listener: SearchHost {
      let fixture: SearchFixture
      var heard: [String] = []
      init(_ fixture: SearchFixture) { self.fixture = fixture }
      func evaluate(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation {
        try fixture.evaluate(trial)
      }
      func measureFisher(_ request: FisherRequest) throws(DFMergeError) {
        try fixture.measureFisher(request)
      }
      func progress(_ event: ProgressEvent) throws(DFMergeError) -> Bool {
        // Merges may report by the clock, which no two runs share.
        if event.phase != .merge { heard.append("\(event)") }
        return true
      }
    }
    let fixture = try SearchFixture()
    let listener = Listener(fixture)
    _ = try fixture.search(BackgroundRunTests.options).run(journal: nil, host: listener)
    let (run, _) = try BackgroundRunTests.start()
    var events: [ProgressEvent] = []
    for await event in run.progress { events.append(event) }
    #expect(events.filter { $0.phase != .merge }.map { "\($0)" } == listener.heard)
    #expect(events.filter { $0.phase == .trial }.map(\.done) == Array(1...9))
    #expect(try await run.result.trials.count == 9)
  }

  @Test func testProgress_ofASlowReaderKeepsTheNewestEvents() async throws {
    let fixture = try SearchFixture()
    let search = try fixture.search(#"{"trials":300,"initial":300,"fisher":"none"}"#)
    let run = Search.start(search, host: fixture)
    _ = try await run.result
    var events: [ProgressEvent] = []
    for await event in run.progress { events.append(event) }
    #expect(events.count == RunControl.bufferedEvents)
    let done = events.filter { $0.phase == .trial }.map(\.done)
    #expect(done == Array((301 - done.count)...300))
  }

  @Test func testProgress_keepsARunAliveThatNobodyElseHolds() async throws {
    var last = 0
    for await event in try BackgroundRunTests.start().run.progress where event.phase == .trial {
      last = event.done
    }
    #expect(last == 9)
  }

  @Test(arguments: [0, 3, 8])
  func testCancel_leavesAJournalThatGoesOnToTheSameTrials(_ at: Int) async throws {
    let whole = TemporaryPath("whole.jsonl")
    let fixture = try SearchFixture()
    _ = try fixture.search(BackgroundRunTests.options).run(journal: whole.path, host: fixture)

    let journal = TemporaryPath("run.jsonl")
    let gate = Gate()
    let (run, _) = try BackgroundRunTests.start(journal: journal.path) {
      (number) throws(DFMergeError) in
      if number == at { gate.pass() }
      return true
    }
    try await gate.reached()
    run.cancel()
    gate.open()
    let error = await #expect(throws: DFMergeError.self) { try await run.result }
    #expect(error?.code == .cancelled)
    // The evaluation that was under way has been waited for and counts.
    #expect(journal.reproducibleLines.count < whole.reproducibleLines.count)
    let (second, target) = try BackgroundRunTests.start(journal: journal.path)
    #expect(try await second.result.trials.count == 9)
    #expect(journal.reproducibleLines == whole.reproducibleLines)
    #expect(floats(target) == fixture.merged)
  }

  @Test func testCancelledTask_stopsTheRunAndWaitsForItsEnd() async throws {
    let gate = Gate()
    let (run, _) = try BackgroundRunTests.start { (number) throws(DFMergeError) in
      if number == 2 { gate.pass() }
      return true
    }
    let waiting = Task { try await run.result.trials.count }
    try await gate.reached()
    waiting.cancel()
    gate.open()
    let error = await #expect(throws: DFMergeError.self) { try await waiting.value }
    #expect(error?.code == .cancelled)
  }

  @Test func testCancel_ofAFinishedRunChangesNothing() async throws {
    let (run, _) = try BackgroundRunTests.start()
    let first = try await run.result
    run.cancel()
    #expect(try await run.result.trials.count == first.trials.count)
    var events = 0
    for await _ in run.progress { events += 1 }
    #expect(events > 0)
  }

  @Test func testError_ofTheHostComesOut() async throws {
    let (run, _) = try BackgroundRunTests.start { (number) throws(DFMergeError) in
      guard number == 2 else { return true }
      throw DFMergeError(.ioFailure, "The data set is gone.", context: ["path": "x"])
    }
    do throws(DFMergeError) {
      _ = try await run.result
      Issue.record("the run ended well")
    } catch {
      #expect(error.message == "The data set is gone." && error.context == ["path": "x"])
    }
  }

  @Test func testManyRunsAtOnce_giveTheSameResults() async throws {
    let expected = try Findings.synchronous(BackgroundRunTests.options)
    let runs = try (0..<8).map { _ in try BackgroundRunTests.start() }
    for (run, target) in runs {
      #expect(Findings(try await run.result, merged: floats(target)) == expected)
    }
  }

  @Test func testDropping_endsTheRunAndFreesItsHost() async throws {
    let gate = Gate()
    // The target's memory, which only the host and the search hold.
    weak var memory: AlignedBuffer?
    let counter = Counter()
    do {
      let fixture = try SearchFixture()
      memory = fixture.target[0].owner as? AlignedBuffer
      fixture.beforeEvaluation = { number throws(DFMergeError) in
        counter.add()
        if number == 1 { gate.pass() }
        return true
      }
      let search = try fixture.search(BackgroundRunTests.options)
      let run = Search.start(search, host: fixture)
      try await gate.reached()
      withExtendedLifetime(run) {}
    }
    #expect(memory != nil)
    gate.open()
    #expect(try await eventually { memory == nil && runThreads() == 0 })
    #expect(counter.value == 2)
  }

  @Test func testStartingTwice_isRefusedWhileTheFirstGoesOn() async throws {
    let gate = Gate()
    let fixture = try SearchFixture()
    fixture.beforeEvaluation = { number throws(DFMergeError) in
      if number == 0 { gate.pass() }
      return true
    }
    // The compiler refuses the second start without this: the first has taken the search.
    nonisolated(unsafe) let search = try fixture.search(BackgroundRunTests.options)
    let first = Search.start(search, host: fixture)
    try await gate.reached()
    let second = Search.start(search, host: try SearchFixture())
    let error = await #expect(throws: DFMergeError.self) { try await second.result }
    #expect(error?.code == .invalidState)
    gate.open()
    #expect(try await first.result.trials.count == 9)
  }

  @Test func testRun_fromInsideItsOwnCallbackIsRefused() throws {
    let fixture = try SearchFixture()
    let search = try fixture.search(BackgroundRunTests.options)
    var refused: DFMergeError?
    fixture.beforeEvaluation = { _ throws(DFMergeError) in
      do throws(DFMergeError) { _ = try search.run(journal: nil, host: fixture) } catch {
        refused = error
      }
      return true
    }
    _ = try search.run(journal: nil, host: fixture)
    #expect(refused?.code == .invalidState)
  }

  @Test func testThreads_areGoneAfterManyRuns() async throws {
    for number in 0..<200 {
      let options = #"{"trials":2,"initial":2,"fisher":"none","seed":\#(number)}"#
      let (run, _) = try BackgroundRunTests.start(options)
      if number % 3 == 0 { run.cancel() }
      _ = try? await run.result
    }
    #expect(try await eventually { runThreads() == 0 })
  }

  @Test func testThread_blocksSignalsAndHasALargeStack() async throws {
    let found = Atomic<Bool>(false)
    let (run, _) = try BackgroundRunTests.start { (_) throws(DFMergeError) in
      var mask = sigset_t()
      pthread_sigmask(SIG_SETMASK, nil, &mask)
      let blocks = sigismember(&mask, SIGINT) == 1 && sigismember(&mask, SIGSEGV) == 0
      found.store(blocks && stackSize() >= 8 << 20, ordering: .relaxed)
      return true
    }
    _ = try await run.result
    let isSo = found.load(ordering: .relaxed)
    #expect(isSo)
  }
}
