import Testing

@testable import DFMerge
@testable import DFMergeCore

/// A search with the strategy "greedy_soup".
@Suite struct SearchSoupTests {
  @Test func testRun_makesTheSoupOfTheRightModels() throws {
    let fixture = try SoupFixture()
    let result = try fixture.search().run(journal: nil, host: fixture)
    #expect(fixture.seen.prefix(4) == [["a"], ["b"], ["c"], ["d"]])
    #expect(fixture.seen.count == 7 && fixture.isAverage && result.ending == .complete)
    #expect(result.trials.map(\.origin).prefix(5) == ["alone", "alone", "alone", "alone", "soup"])
    let soup = try #require(result.soup)
    #expect(soup.models == ["b", "a", "d"])
    #expect(soup.decisions.count == 4 && soup.decisions[0].isAccepted)
    let refused = try #require(soup.decisions.first { !$0.isAccepted })
    #expect(refused.model == "c" && refused.value == result.trials[refused.number].value)
    #expect(result.coefficient(of: "a") == 1 / 3.0 && result.coefficient(of: "c") == 0)
    #expect(result.chosenBy == "observed" && result.interval == nil)
    #expect(result.json["method"] == "average")
    #expect(result.json["slices"] == .array([]) && result.json["importance"] == .object([:]))
    #expect(
      result.json["best"]?["options"] == ["weights": ["a": 1, "b": 1, "c": 0, "d": 1]])
    // The best model alone is what it is measured by; the average of all was not asked for.
    let margin = try #require(result.overBaseline)
    #expect(margin.name == "\(soup.models[0]) alone" && margin.interval == nil)
    #expect(margin.difference == (result.best.value ?? 0) - margin.value && margin.difference > 0)
    #expect(abs(fixture.merged[0] - 5) < 1e-5)
  }

  @Test func testOneModel_isItself() throws {
    let fixture = try SoupFixture([[1.5, -0.25]]) { _ in 0.5 }
    let result = try fixture.search().run(journal: nil, host: fixture)
    #expect(result.trials.count == 1 && result.ending == .complete)
    #expect(result.soup?.models == ["a"] && fixture.merged == [1.5, -0.25])
  }

  @Test func testFailures_areNotAccepted() throws {
    // Neither the evaluation of b nor the sum with a model that overflows counts.
    let fixture = try SoupFixture([[1, 1], [2, 2], [.infinity, 1], [4, 4]]) { members in
      members == ["b"] ? nil : Double(members.count) + (members == ["d"] ? 0.5 : 0)
    }
    let result = try fixture.search().run(journal: nil, host: fixture)
    #expect(fixture.seen == [["a"], ["b"], ["d"], ["a", "d"]])
    #expect(result.trials.map(\.state) == [.complete, .failed, .failed, .complete, .complete])
    #expect(result.soup?.models == ["d", "a"])
    #expect(result.soup?.decisions.map(\.isAccepted) == [true, true, false, false])
    #expect(result.warnings.contains { $0.contains("2 of 5 trials failed") })
    let reason = result.trials[2].failure ?? ""
    #expect(reason.contains("leave out the model") && !reason.contains("non_finite"))
    let nothing = try SoupFixture([[1], [2]]) { _ in nil }
    let error = #expect(throws: DFMergeError.self) {
      try nothing.search().run(journal: nil, host: nothing)
    }
    #expect(error?.code == .allTrialsFailed && nothing.seen.count == 2)
  }

  @Test(arguments: [1, 3, 4, 5, 6, 7, 40])
  func testTrials_areALimit(_ trials: Int) throws {
    let fixture = try SoupFixture()
    let result = try fixture.search("{\"trials\":\(trials)}").run(journal: nil, host: fixture)
    #expect(result.trials.count == min(trials, 7))
    #expect(result.ending == (trials < 7 ? .trials : .complete))
    let best = result.trials.max { ($0.value ?? 0) < ($1.value ?? 0) }
    #expect(result.best.number == best?.number)
  }

  @Test func testTarget_endsIt() throws {
    let fixture = try SoupFixture()
    let whole = try fixture.search().run(journal: nil, host: fixture)
    let value = try #require(whole.trials[4].value)
    let again = try SoupFixture()
    let result = try again.search("{\"target\":\(value)}").run(journal: nil, host: again)
    #expect(result.ending == .target && result.trials.count <= 5)
  }

  @Test func testStop_atAnyTrialGivesTheSameJournalAndBytes() throws {
    let whole = try SoupFixture()
    let journal = TemporaryPath("run.jsonl")
    let expected = try whole.search().run(journal: journal.path, host: whole)
    let lines = journal.reproducibleLines
    for stop in 0..<7 {
      let cut = TemporaryPath("run.jsonl")
      let first = try SoupFixture()
      first.beforeEvaluation = { number throws(DFMergeError) in
        if number == stop { throw DFMergeError(.cancelled, "stopped by the test") }
      }
      let search = try first.search()
      #expect(throws: DFMergeError.self) { try search.run(journal: cut.path, host: first) }
      let second = try SoupFixture()
      let result = try second.search().run(journal: cut.path, host: second)
      #expect(first.seen.count + second.seen.count == 7)
      #expect(cut.reproducibleLines == lines && second.merged == whole.merged)
      #expect(result.soup?.models == expected.soup?.models && result.ending == .complete)
      // The same search may also be run again.
      first.beforeEvaluation = { _ throws(DFMergeError) in }
      let third = TemporaryPath("run.jsonl")
      let other = try SoupFixture()
      var isFirst = true
      other.beforeEvaluation = { number throws(DFMergeError) in
        guard number == stop, isFirst else { return }
        isFirst = false
        throw DFMergeError(.cancelled, "stopped by the test")
      }
      let again = try other.search()
      #expect(throws: DFMergeError.self) { try again.run(journal: third.path, host: other) }
      _ = try again.run(journal: third.path, host: other)
      #expect(third.reproducibleLines == lines && other.seen.count == 7)
    }
  }

  @Test func testJournal_isThatOfItsStrategyAndScores() throws {
    let fixture = try SoupFixture()
    let journal = TemporaryPath("run.jsonl")
    _ = try fixture.search("{\"trials\":5}").run(journal: journal.path, host: fixture)
    let before = journal.bytes
    let bayesian = try fixture.search("{\"strategy\":\"bayesian\",\"fisher\":\"none\"}")
    let error = #expect(throws: DFMergeError.self) {
      try bayesian.run(journal: journal.path, host: fixture)
    }
    #expect(error?.code == .journalMismatch && error?.message.contains("strategy") == true)
    // To a larger number of trials it goes on.
    let more = try fixture.search().run(journal: journal.path, host: fixture)
    #expect(more.trials.count == 7 && more.ending == .complete)
    // A trial that does not follow from those before it.
    let text = String(decoding: before, as: UTF8.self)
    var lines = text.split(separator: "\n").map(String.init)
    let place = try #require(lines.lastIndex { $0.contains("\"type\":\"trial\"") })
    let event = try JSONValue(parsing: lines[place].utf8, what: "a line")["event"] ?? .null
    var members = event.objectValue ?? [:]
    members["point"] = .array([1, 1, 1, 1])
    let payload = Array(try JSONValue.object(members).text().utf8)
    let sum = String(CRC32.of(payload), radix: 16)
    lines[place] =
      "{\"crc\":\"" + String(repeating: "0", count: 8 - sum.count) + sum + "\",\"event\":"
      + String(decoding: payload, as: UTF8.self) + "}"
    let other = TemporaryPath("run.jsonl")
    other.write((lines.joined(separator: "\n") + "\n").utf8)
    let damaged = #expect(throws: DFMergeError.self) {
      try fixture.search("{\"trials\":5}").run(journal: other.path, host: fixture)
    }
    #expect(damaged?.code == .journalDamaged)
  }

  @Test(arguments: [
    ("space", "{\"weights\":[0,1]}"), ("groups", "\"layers:2\""), ("bounds", "[0,1]"),
    ("initial", "4"), ("seed", "1"), ("acquisition", "\"ei\""), ("enqueue", "[]"),
    ("observations", "[]"), ("subset_share", "0.5"), ("stop_improvement", "0.1"),
    ("method_options", "{}"), ("fisher", "\"static\""), ("best_by", "\"posterior_mean\""),
    ("preset", "\"paper\""), ("method", "\"ties\""), ("method", "\"df_merge\""),
    ("exponent", "0"), ("informed", "true"), ("singles", "true"), ("examples", "9"),
    ("modelling", "\"tasks\""),
  ])
  func testOptions_ofBayesianOptimisationAreRefused(_ option: String, _ value: String) throws {
    let fixture = try SoupFixture()
    let error = #expect(throws: DFMergeError.self) {
      try fixture.search("{\"\(option)\":\(value)}")
    }
    #expect(error?.code == .invalidOption && error?.context["option"] == option)
    #expect(error?.message.contains("strategy 'bayesian'") == true)
  }

  @Test func testOptions_thatSayWhatItDoesAnyway() throws {
    let fixture = try SoupFixture()
    let search = try fixture.search(
      "{\"method\":\"average\",\"fisher\":\"none\",\"best_by\":\"observed\",\"preset\":\"default\"}"
    )
    let options = search.options.json.objectValue ?? [:]
    #expect(options["trials"] == .int(7) && options["strategy"] == .string("greedy_soup"))
    #expect(options["acquisition"] == nil && options["best_by"] == nil)
    let error = #expect(throws: DFMergeError.self) {
      try fixture.search("{\"strategy\":\"greedy\"}")
    }
    #expect(error?.code == .invalidOption && error?.message.contains("greedy_soup") == true)
  }

  @Test func testApply_takesTheWeightsOfAnAverage() throws {
    let fixture = try SoupFixture()
    let search = try fixture.search()
    try search.apply(Candidate(coefficients: [3, 0, 0, 1], exponent: 0), host: fixture)
    #expect(fixture.merged[0] == 5.5)
    for weights in [[0, 0, 0, 0], [1, -1, 1, 0]] as [[Double]] {
      let error = #expect(throws: DFMergeError.self) {
        try search.apply(Candidate(coefficients: weights, exponent: 0), host: fixture)
      }
      #expect(error?.code == .invalidArgument && error?.message.contains("make no soup") == true)
    }
  }
}
