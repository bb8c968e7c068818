import Testing

@testable import DFMerge
@testable import DFMergeCore

@Suite struct SearchEndingTests {
  @Test func testTrials_isTheOrdinaryEnd() throws {
    let fixture = try SearchFixture()
    let result = try fixture.search("{\"trials\":6}").run(journal: nil, host: fixture)
    #expect(result.ending == .trials && result.json["ended"] == .string("trials"))
    #expect(result.json["cost"]?.doubleValue == 6)
  }

  @Test func testTarget_endsWithTheTrialThatReachesIt() throws {
    let fixture = try SearchFixture()
    // The mean of the two tasks, 0.1 apart, is at most 0.95.
    let result = try fixture.search("{\"trials\":60,\"target\":0.94,\"fisher\":\"none\"}")
      .run(journal: nil, host: fixture)
    #expect(result.ending == .target && result.trials.count < 60)
    #expect((result.trials.last?.value ?? 0) >= 0.94)
    #expect(result.trials.dropLast().allSatisfy { ($0.value ?? 0) < 0.94 })
  }

  @Test func testTarget_countsWithinTheFloorsOnly() throws {
    let host = ScriptedHost { $0 < 8 ? [1, 0.1] : [0.6, 0.6] }
    let fixture = try SearchFixture()
    let search = try fixture.search(
      "{\"trials\":20,\"initial\":10,\"target\":0.5,\"floors\":{\"b\":0.3},\"fisher\":\"none\"}")
    let result = try search.run(journal: nil, host: host)
    #expect(result.trials.count == 9 && result.ending == .target)
    #expect(result.best.number == 8 && result.isFeasible)
    #expect(search.bestValue == 0.6)
  }

  @Test func testFloorsThatNoTrialKeeps_areSaid() throws {
    let host = ScriptedHost { [1, 0.01 * Double($0)] }
    let fixture = try SearchFixture()
    let result = try fixture.search(
      "{\"trials\":7,\"initial\":7,\"floors\":{\"b\":0.5},\"fisher\":\"none\"}"
    ).run(journal: nil, host: host)
    // The one that misses its floor by the least.
    #expect(result.best.number == 6 && !result.isFeasible)
    #expect(result.json["best"]?["feasible"] == .bool(false))
  }

  @Test func testTime_endsBeforeTheNextTrial() throws {
    let fixture = try SearchFixture()
    let journal = TemporaryPath("run.jsonl")
    let short = "{\"trials\":9,\"seed\":9,\"initial\":6,\"max_seconds\":1e-9}"
    let first = try fixture.search(short).run(journal: journal.path, host: fixture)
    #expect(first.ending == .time && first.trials.count == 1)
    // A later run has the time anew, and another limit is no other search.
    let second = try fixture.search("{\"trials\":9,\"seed\":9,\"initial\":6,\"max_seconds\":1e6}")
      .run(journal: journal.path, host: fixture)
    #expect(second.ending == .trials && second.trials.count == 9)
    let fresh = try SearchFixture()
    let whole = try fresh.search("{\"trials\":9,\"seed\":9,\"initial\":6}")
      .run(journal: nil, host: fresh)
    #expect(second.trials.map(\.point) == whole.trials.map(\.point))
  }

  @Test func testImprovement_endsBeforeTheSecondTrialInARowWithLittleToGain() throws {
    let fixture = try SearchFixture()
    let journal = TemporaryPath("run.jsonl")
    // Nothing gains a million: judged before the first two trials after the start.
    let options = "{\"trials\":30,\"seed\":9,\"initial\":6,\"stop_improvement\":1e6}"
    let result = try fixture.search(options).run(journal: journal.path, host: fixture)
    #expect(result.ending == .improvement && result.trials.count == 7)
    #expect(journal.reproducibleLines.last?.contains("\"ended\":\"improvement\"") == true)
    let lines = journal.reproducibleLines
    #expect(lines.filter { $0.contains("\"improvement\":") }.count == 1)
    // Continued, it ends at once for the same reason; without the rule it goes on.
    let again = try fixture.search(options)
    #expect(try again.run(journal: journal.path, host: fixture).ending == .improvement)
    #expect(again.trials.count == 7)
    let longer = try fixture.search("{\"trials\":9,\"seed\":9,\"initial\":6}")
    #expect(try longer.run(journal: journal.path, host: fixture).ending == .trials)
    #expect(longer.trials.count == 9)
  }

  @Test func testImprovement_ofAnExhaustedProblemStopsTheSearchEarly() throws {
    let fixture = try SearchFixture()
    let result = try fixture.search(
      "{\"trials\":100,\"fisher\":\"none\",\"stop_improvement\":0.002}"
    ).run(journal: nil, host: fixture)
    #expect(result.ending == .improvement && result.trials.count < 60)
    #expect((result.best.value ?? 0) > 0.93)
  }

  @Test func testFreshExamples_refuseAScoreThatIsNoShare() throws {
    let fixture = try SearchFixture()
    let journal = TemporaryPath("run.jsonl")
    let host = ScriptedHost { _ in [80, 0.5] }
    let options = "{\"examples\":100,\"fresh_examples\":true,\"fisher\":\"none\"}"
    let search = try fixture.search(options)
    let error = #expect(throws: DFMergeError.self) {
      try search.run(journal: journal.path, host: host)
    }
    #expect(error?.code == .invalidArgument && error?.message.contains("80") == true)
    // It is not in the journal, so that the run goes on once the evaluation is mended.
    #expect(search.trials.isEmpty)
    #expect(!journal.reproducibleLines.contains { $0.contains("\"scores\":") })
  }

  @Test(arguments: [
    ("{\"max_seconds\":0}", "max_seconds"), ("{\"max_seconds\":-1}", "max_seconds"),
    ("{\"stop_improvement\":-0.1}", "stop_improvement"), ("{\"target\":\"high\"}", "target"),
    ("{\"floors\":{\"x\":1}}", "floors"), ("{\"floors\":[1]}", "floors"),
    ("{\"modelling\":\"tasks\",\"tasks\":[\"one\"]}", "modelling"),
    ("{\"modelling\":\"both\"}", "modelling"),
    ("{\"fresh_examples\":true}", "fresh_examples"), ("{\"examples\":-1}", "examples"),
    ("{\"examples\":0,\"fresh_examples\":true}", "fresh_examples"),
    ("{\"preset\":\"paper\",\"examples\":100}", "examples"),
    ("{\"preset\":\"paper\",\"input_warping\":true}", "input_warping"),
  ])
  func testOptionsOfAnEnd_areChecked(_ text: String, _ option: String) throws {
    let fixture = try SearchFixture()
    let error = #expect(throws: DFMergeError.self) { try fixture.search(text) }
    #expect(error?.context["option"] == option)
  }
}
