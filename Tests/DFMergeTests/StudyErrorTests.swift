import Testing

@testable import DFMerge
@testable import DFMergeCore

/// Wrong calls: each is refused with what is wrong and what to do, and changes nothing.
@Suite struct StudyErrorTests {
  private func failure(_ body: () throws -> Void) -> DFMergeError? {
    #expect(throws: DFMergeError.self, performing: body)
  }

  @Test(arguments: [
    ("{}", "parameters", DFMergeError.Code.invalidOption),
    (#"{"parameters":[]}"#, "parameters", .invalidOption),
    (#"{"parameters":["x"]}"#, "parameters", .invalidOption),
    (#"{"parameters":[{"name":"x","low":1,"high":1}]}"#, "low < high", .invalidOption),
    (#"{"parameters":[{"name":"x","low":0,"high":1e301}]}"#, "parameters", .invalidOption),
    (#"{"parameters":[{"name":"","low":0,"high":1}]}"#, "parameters", .invalidOption),
    (#"{"parameters":[{"name":"x","low":0,"high":1,"log":true}]}"#, "high", .invalidOption),
    (
      #"{"parameters":[{"name":"x","low":0,"high":1},{"name":"x","low":0,"high":1}]}"#,
      "own name", .invalidOption
    ),
    (#"{"parameters":[{"name":"x","low":0,"high":1}],"step":1}"#, "'step'", .unknownName),
    (#"{"parameters":[{"name":"x","low":0,"high":1}],"kappa":1}"#, "ucb", .invalidOption),
    (#"{"parameters":[{"name":"x","low":0,"high":1}],"tasks":[]}"#, "'tasks'", .invalidOption),
    (
      #"{"parameters":[{"name":"x","low":0,"high":1}],"floors":{"b":1}}"#, "floors",
      .invalidOption
    ),
    (
      #"{"parameters":[{"name":"x","low":0,"high":1}],"fresh_examples":true}"#, "examples",
      .invalidOption
    ),
    (
      #"{"parameters":[{"name":"x","low":0,"high":1}],"preset":"paper","examples":9}"#, "default",
      .invalidOption
    ),
    (
      #"{"parameters":[{"name":"x","low":0,"high":1}],"preset":"paper","input_warping":true}"#,
      "default", .invalidOption
    ),
    (#"{"parameters":[{"name":"x","low":0,"high":1}],"lease_seconds":-1}"#, "-1", .invalidOption),
  ])
  func testOptions_areChecked(_ text: String, _ named: String, _ code: DFMergeError.Code) throws {
    let options = try JSONValue(parsing: text.utf8, what: "options")
    let error = failure { _ = try Study(options: options) }
    #expect(error?.code == code && error?.message.contains(named) == true)
  }

  @Test func testTell_twiceOrUnaskedIsRefused() throws {
    let study = try StudyFixture.study()
    #expect(failure { try study.tell(0, value: 1) }?.code == .invalidArgument)
    #expect(failure { try study.tell(-1, value: 1) }?.code == .invalidArgument)
    _ = try study.ask()
    try study.tell(0, value: 1)
    #expect(failure { try study.tell(0, value: 1) }?.code == .invalidState)
    #expect(failure { try study.tellFailed(0) }?.code == .invalidState)
    #expect(failure { try study.withdraw(0) }?.code == .invalidState)
    _ = try study.ask()
    try study.withdraw(1)
    #expect(failure { try study.withdraw(1) }?.message.contains("already") == true)
  }

  @Test func testScores_areCheckedAndChangeNothing() throws {
    let study = try StudyFixture.study(#"{"tasks":["a","b"]}"#)
    _ = try study.ask()
    for scores in [
      Scores([1]), Scores([1, 2, 3]), Scores([1, 2], variances: [1]),
      Scores([1, 2], variances: [nil, -1]), Scores([1, 2], variances: [.infinity, nil]),
    ] {
      let error = failure { try study.tell(0, scores: scores) }
      #expect(error?.code == .invalidArgument && study.trials[0].state == .running)
      #expect(failure { try study.observe([0, 3], scores: scores) }?.code == .invalidArgument)
    }
    #expect(
      failure { try study.observe([0, 3], scores: Scores([.nan, 1])) }?.code == .nonFinite)
    #expect(study.trials.count == 1)
    try study.tell(0, scores: Scores([1, .infinity]))
    #expect(study.trials[0].state == .failed)
    #expect(study.trials[0].reason?.contains("'b'") == true)
  }

  @Test func testFreshExamples_takeSharesAlone() throws {
    let journal = TemporaryPath("study.jsonl")
    let text = #"{"examples":50,"fresh_examples":true,"input_warping":true}"#
    do {
      let study = try StudyFixture.study(text, journal: journal)
      _ = try study.ask()
      let error = failure { try study.tell(0, value: 80) }
      #expect(error?.code == .invalidArgument && error?.message.contains("fresh_examples") == true)
      #expect(
        failure { try study.observe([0, 3], scores: Scores([-1])) }?.code == .invalidArgument)
      try study.tell(0, value: 0.8)
      // What was refused is not in the journal, and a variance that is told makes any score welcome.
      _ = try study.ask()
      try study.tell(1, value: 80, variance: 0.01)
      #expect(study.trials.allSatisfy { $0.state == .complete })
      let options = study.options.settings.optimizerOptions(informed: [])
      #expect(options.examples == 50 && options.freshExamples && options.inputWarping)
    }
    let again = try StudyFixture.study(text, journal: journal)
    #expect(again.trials.count == 2)
  }

  @Test func testFirstStage_needsAShareAndATrialThatIsOut() throws {
    let plain = try StudyFixture.study()
    _ = try plain.ask()
    let error = failure { _ = try plain.tellSubset(0, value: 1) }
    #expect(error?.code == .invalidState && error?.message.contains("subset_share") == true)
    let study = try StudyFixture.study(#"{"subset_share":0.5}"#)
    _ = try study.ask(2)
    #expect(failure { _ = try study.tellSubset(7, value: 1) }?.code == .invalidArgument)
    try study.withdraw(0)
    #expect(failure { _ = try study.tellSubset(0, value: 1) }?.code == .invalidState)
    #expect(try !study.tellSubset(1, value: .nan))
    #expect(study.trials[1].state == .failed)
    #expect(failure { _ = try StudyFixture.study(#"{"subset_share":1}"#) }?.code == .invalidOption)
  }

  @Test func testPoints_areChecked() throws {
    let study = try StudyFixture.study()
    for point in [[], [0], [0, 3, 1], [0, 7], [-1.1, 3], [.nan, 3]] as [[Double]] {
      #expect(failure { try study.enqueue([[0, 3], point]) }?.code == .invalidArgument)
      #expect(failure { try study.observe(point, scores: Scores([1])) }?.code == .invalidArgument)
      #expect(failure { _ = try study.predict(point) }?.code == .invalidArgument)
    }
    #expect(failure { try study.enqueue([[0, 7]]) }?.message.contains("y = 7.0") == true)
    // Nothing of the refused lists is queued.
    #expect(try study.ask()[0].origin == .initial)
    for count in [0, -1, 10_001] {
      #expect(failure { _ = try study.ask(count) }?.code == .invalidArgument)
    }
  }

  @Test func testQuestions_withoutScoresAreRefusedOrEmpty() throws {
    let study = try StudyFixture.study()
    #expect(failure { _ = try study.best() }?.code == .invalidState)
    #expect(failure { _ = try study.predict([0, 3]) }?.code == .invalidState)
    #expect(try study.bestJSON() == .null)
    try study.tellFailed(try study.ask()[0].number)
    #expect(failure { _ = try study.best() }?.code == .allTrialsFailed)
    let result = try study.resultJSON()
    #expect(result["best"] == .null && result["slices"] == .array([]))
    #expect(result["improvement_left"] == .null && result["importance"] == .object([:]))
  }

  @Test(arguments: [1e300, -1e300, 1e-300, 0])
  func testExtremeScores_leaveAResult(_ score: Double) throws {
    let study = try StudyFixture.study(#"{"initial":3}"#)
    for i in 0..<6 { try study.tell(try study.ask()[0].number, value: score * Double(i)) }
    #expect(!(try study.resultJSON().text()).isEmpty)
  }
}
