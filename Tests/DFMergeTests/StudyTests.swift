import Testing

@testable import DFMerge
@testable import DFMergeCore

@Suite struct StudyTests {
  @Test func testAskAndTell_findTheBestPointInParameterUnits() throws {
    let study = try StudyFixture.study(#"{"trials":30}"#)
    while try study.stopReason() == nil {
      let trial = try study.ask()[0]
      #expect((-1...1).contains(trial.values[0]) && (2...6).contains(trial.values[1]))
      try StudyFixture.tell(study, trial.number)
    }
    #expect(try study.stopReason() == .trials && study.trials.count == 30 && study.cost == 30)
    let best = try study.best()
    #expect(abs(best.trial.values[0] - 0.5) < 0.05 && abs(best.trial.values[1] - 3) < 0.1)
    #expect(best.interval?.contains(1) == true || best.mean > 0.999)
    let (mean, sd) = try study.predict([0.5, 3])
    #expect(abs(mean - 1) < 0.01 && sd < 0.05)
    let shares = try study.importance()
    #expect(
      shares.count == 2 && shares.allSatisfy { $0 > 0.05 } && abs(shares[0] + shares[1] - 1) < 1e-9)
    #expect(try study.improvementLeft() < 0.01)
  }

  @Test func testBatch_givesDistinctPointsThatStayOut() throws {
    let study = try StudyFixture.study(#"{"initial":3}"#)
    for _ in 0..<3 { try StudyFixture.tell(study, try study.ask()[0].number) }
    let batch = try study.ask(5)
    #expect(batch.map(\.number) == [3, 4, 5, 6, 7] && study.running.count == 5)
    for (i, one) in batch.enumerated() {
      for other in batch[..<i] { #expect(one.values != other.values) }
    }
    for number in [6, 3, 7, 5, 4] { try StudyFixture.tell(study, number) }
    #expect(study.running.isEmpty && study.trials.allSatisfy { $0.state == .complete })
  }

  @Test func testQueuedPoint_keepsItsValuesExactly() throws {
    let study = try StudyFixture.study()
    let given = [-0.1, 5.3]
    try study.enqueue([given])
    let trial = try study.ask()[0]
    #expect(trial.values == given && trial.origin == .informed)
    let number = try study.observe([0.7, 2.1], scores: Scores([0.5]))
    #expect(study.trials[number].values == [0.7, 2.1] && study.cost == 0)
  }

  @Test func testInformed_startsWithEqualValuesInsideTheBounds() throws {
    let parameters =
      #"[{"name":"a","low":0,"high":1},{"name":"b","low":0.25,"high":1},"#
      + #"{"name":"c","low":0,"high":1}]"#
    let study = try StudyFixture.study(#"{"informed":true,"parameters":\#(parameters)}"#)
    let first = try study.ask(3)
    #expect(first[0].values.allSatisfy { abs($0 - 1 / 3) < 1e-12 })
    #expect(first[1].values.allSatisfy { abs($0 - 0.3) < 1e-12 })
    #expect(first[2].values.allSatisfy { $0 == 0.5 } && first[2].origin == .informed)
    #expect(try study.ask()[0].origin == .initial)
  }

  @Test func testTasks_areAggregatedWithFloorsAndAFront() throws {
    let study = try StudyFixture.study(
      #"{"tasks":["a","b"],"aggregate":"weighted","task_weights":{"a":3,"b":1},"#
        + #""floors":{"b":0.5},"best_by":"observed"}"#)
    let told: [[Double]] = [[1, 0.4], [0.6, 0.6], [0.5, 0.7], [0.4, 0.5]]
    for scores in told { try study.tell(try study.ask()[0].number, scores: Scores(scores)) }
    let best = try study.best()
    #expect(best.trial.number == 1 && best.violation == 0 && best.trial.value == 0.6)
    #expect(study.paretoFront.map(\.number) == [0, 1, 2])
    let json = try study.resultJSON()
    #expect(json["best"]?["feasible"] == .bool(true) && json["best"]?["number"] == .int(1))
    #expect(json["pareto"] == .array([.int(0), .int(1), .int(2)]))
    #expect(json["trials"]?.arrayValue?.count == 4 && json["ended"] == .null)
    #expect(json["best"]?["scores"]?["b"] == .double(0.6))
  }

  // MARK: - Endings

  @Test func testTarget_endsOnlyWithinTheFloors() throws {
    let study = try StudyFixture.study(
      #"{"tasks":["a","b"],"target":0.7,"floors":{"b":0.5}}"#)
    try study.tell(try study.ask()[0].number, scores: Scores([1, 0.45]))
    #expect(try study.stopReason() == nil)
    try study.tell(try study.ask()[0].number, scores: Scores([0.8, 0.6]))
    #expect(try study.stopReason() == .target)
  }

  @Test func testTime_endsAtOnceWithoutAny() throws {
    #expect(try StudyFixture.study(#"{"max_seconds":0}"#).stopReason() == .time)
    #expect(try StudyFixture.study(#"{"max_seconds":1000}"#).stopReason() == nil)
  }

  @Test func testImprovement_endsAfterTwoResultsWithLittleLeft() throws {
    let study = try StudyFixture.study(#"{"stop_improvement":0.001,"initial":6}"#)
    var left: [Double] = []
    while try study.stopReason() == nil {
      try StudyFixture.tell(study, try study.ask()[0].number)
      if study.trials.count >= 6 { left.append(try study.improvementLeft()) }
      try #require(study.trials.count < 60)
    }
    #expect(try study.stopReason() == .improvement && study.trials.count < 40)
    #expect(left.suffix(2).allSatisfy { $0 < 0.001 } && left[0] > 0.001)
  }

  // MARK: - Leases

  @Test func testLease_runsOutAndTheLateResultIsTaken() throws {
    let study = try StudyFixture.study(#"{"lease_seconds":60,"initial":4}"#)
    var now = 1000.0
    study.wallClock = { now }
    let first = try study.ask(2)
    now += 59
    #expect(try study.ask()[0].values != first[0].values)
    now += 1
    let again = try study.ask(2)
    #expect(study.trials[0].state == .withdrawn && study.trials[1].state == .withdrawn)
    #expect(study.trials[2].state == .running)
    #expect(study.trials[0].reason?.contains("lease_seconds") == true)
    // The points go to other workers, under other numbers.
    #expect(again.map(\.values) == first.map(\.values) && again.map(\.number) == [3, 4])
    try StudyFixture.tell(study, 0)
    #expect(study.trials[0].state == .complete && study.trials[0].reason == nil)
    try StudyFixture.tell(study, 3)
    #expect(study.trials[3].value == study.trials[0].value)
  }

  @Test func testLease_outlivesARestart() throws {
    let journal = TemporaryPath("run.jsonl")
    do {
      let study = try StudyFixture.study(#"{"lease_seconds":60}"#, journal: journal)
      study.wallClock = { 1000 }
      _ = try study.ask()
      study.wallClock = { 1050 }
      _ = try study.ask()
    }
    let study = try StudyFixture.study(#"{"lease_seconds":60}"#, journal: journal)
    study.wallClock = { 1070 }
    _ = try study.ask()
    #expect(study.trials.map(\.state) == [.withdrawn, .running, .running])
  }
}
