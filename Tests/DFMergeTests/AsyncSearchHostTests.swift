import Synchronization
import Testing

@testable import DFMerge
@testable import DFMergeCore

/// Searches whose host is an actor.
@Suite struct AsyncSearchHostTests {
  struct Unreachable: Error, Equatable { let server: String }

  static func start(
    _ options: String = BackgroundRunTests.options, journal: String? = nil,
    before: @escaping @Sendable (Int) async throws -> Void = { _ in await Task.yield() }
  ) throws -> (run: AsyncSearchRun, host: FixtureActor) {
    let fixture = try SearchFixture()
    let search = try fixture.search(options)
    let host = FixtureActor(fixture, before: before)
    return (Search.start(search, journal: journal, host: host), host)
  }

  @Test(arguments: [
    BackgroundRunTests.options, #"{"trials":8,"seed":2,"initial":3,"subset_share":0.3}"#,
  ])
  func testResult_isTheSynchronousOneBitForBit(_ options: String) async throws {
    let (run, host) = try AsyncSearchHostTests.start(options)
    let result = try await run.result
    #expect(
      Findings(result, merged: await host.merged) == (try Findings.synchronous(options)))
  }

  @Test func testManyRuns_moreThanThePoolHasThreads() async throws {
    let expected = try Findings.synchronous(BackgroundRunTests.options)
    let runs = try (0..<24).map { _ in try AsyncSearchHostTests.start() }
    for (run, host) in runs {
      #expect(Findings(try await run.result, merged: await host.merged) == expected)
    }
  }

  @Test func testError_ofAnyTypeComesOutAsItIs() async throws {
    let (run, _) = try AsyncSearchHostTests.start { number in
      if number == 3 { throw Unreachable(server: "a") }
    }
    await #expect(throws: Unreachable(server: "a")) { try await run.result }
    let (second, _) = try AsyncSearchHostTests.start { number in
      if number == 3 { throw DFMergeError(.nonFinite, "odd", context: ["a": "b"]) }
    }
    let error = await #expect(throws: DFMergeError.self) { try await second.result }
    #expect(error?.code == .nonFinite && error?.context == ["a": "b"])
  }

  @Test func testError_leavesAJournalThatGoesOn() async throws {
    let journal = TemporaryPath("run.jsonl")
    let (run, first) = try AsyncSearchHostTests.start(journal: journal.path) { number in
      if number == 4 { throw Unreachable(server: "b") }
    }
    await #expect(throws: Unreachable.self) { try await run.result }
    let (again, second) = try AsyncSearchHostTests.start(journal: journal.path)
    let result = try await again.result
    #expect(
      Findings(result, merged: await second.merged)
        == (try Findings.synchronous(BackgroundRunTests.options)))
    #expect(await first.evaluations + second.evaluations == 9)
  }

  @Test(arguments: [true, false])
  func testCancel_reachesTheCallThatIsUnderWay(_ byTask: Bool) async throws {
    let isThere = Atomic<Bool>(false)
    let (run, _) = try AsyncSearchHostTests.start { number in
      guard number == 2 else { return }
      isThere.store(true, ordering: .relaxed)
      try await Task.sleep(for: .seconds(3600))
    }
    let waiting = Task { try await run.result.trials.count }
    let hasCome = try await eventually { isThere.load(ordering: .relaxed) }
    #expect(hasCome)
    if byTask { waiting.cancel() } else { run.cancel() }
    let error = await #expect(throws: DFMergeError.self) { try await waiting.value }
    #expect(error?.code == .cancelled)
  }

  @Test func testCancellationError_ofTheHostsOwnIsItsError() async throws {
    let (run, _) = try AsyncSearchHostTests.start { _ in throw CancellationError() }
    await #expect(throws: CancellationError.self) { try await run.result }
  }

  @Test func testHost_withoutWhatTheOptionsNeedIsRefused() async throws {
    struct Plain: AsyncSearchHost {
      func evaluate(_ trial: TrialRequest) async -> Evaluation { .scores([1, 1], variances: []) }
    }
    for options in [#"{"trials":3,"subset_share":0.5,"fisher":"none"}"#, #"{"trials":3}"#] {
      let fixture = try SearchFixture()
      let run = Search.start(try fixture.search(options), host: Plain())
      let error = await #expect(throws: DFMergeError.self) { try await run.result }
      #expect(error?.code == .invalidState)
    }
    let fixture = try SearchFixture()
    let run = Search.start(try fixture.search(#"{"trials":3,"fisher":"none"}"#), host: Plain())
    #expect(try await run.result.trials.count == 3)
  }
}

/// An optimiser needs nothing async: an actor holds it.
@Suite struct StudyInAnActorTests {
  actor Coordinator {
    private let study: Study
    init() throws { study = try StudyFixture.study(#"{"initial":4,"seed":7}"#) }
    func next() throws -> StudyTrial { try study.ask()[0] }
    func tell(_ number: Int, _ value: Double) throws { try study.tell(number, value: value) }
    var best: Double? { study.trials.compactMap(\.value).max() }
  }

  @Test func testWorkers_askAndTellSideBySide() async throws {
    let coordinator = try Coordinator()
    try await withThrowingTaskGroup { group in
      for _ in 0..<3 {
        group.addTask {
          for _ in 0..<6 {
            let trial = try await coordinator.next()
            try await coordinator.tell(trial.number, StudyFixture.score(trial.values))
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(try #require(await coordinator.best) > 0.5)
  }
}
