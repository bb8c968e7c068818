import Testing

@testable import DFMerge
@testable import DFMergeCore

@Suite struct SearchBeginningTests {
  static let observation = """
    {"coefficients":[0.6,0.2],"exponent":0,"scores":{"a":5,"b":5}}
    """

  @Test func testEnqueue_isEvaluatedFirstInItsOrder() throws {
    let fixture = try SearchFixture()
    let result = try fixture.search(
      """
      {"trials":5,"enqueue":[{"coefficients":[0.7,0.1],"exponent":0.25},
       {"a":0.4,"b":0.3,"exponent":0},{"coefficients":{"b":1,"a":0},"exponent":1},
       {"a":0.4,"b":0.3,"exponent":0}]}
      """
    ).run(journal: nil, host: fixture)
    let tried = result.trials.map(\.candidate)
    #expect(
      tried.prefix(3) == [
        Candidate(coefficients: [0.7, 0.1], exponent: 0.25),
        Candidate(coefficients: [0.4, 0.3], exponent: 0),
        Candidate(coefficients: [0, 1], exponent: 1),
      ])
    // The same candidate again is the same evaluation; then the known points follow.
    #expect(tried[3] == Candidate(coefficients: [0.5, 0.5], exponent: 0))
    #expect(result.trials.count == 5)
  }

  @Test func testEnqueue_ofMoreThanTheTrialsIsSaid() throws {
    let fixture = try SearchFixture()
    let list = (1...3).map { "{\"a\":0.\($0),\"b\":0.5,\"exponent\":0}" }.joined(separator: ",")
    let search = try fixture.search("{\"trials\":2,\"initial\":2,\"enqueue\":[\(list)]}")
    #expect(
      search.warnings == [
        "3 candidates are enqueued for 2 trials; the last 1 are not evaluated unless trials is raised."
      ])
    #expect(
      try fixture.search("{\"trials\":3,\"initial\":2,\"enqueue\":[\(list)]}").warnings.isEmpty)
  }

  @Test(arguments: [
    ("[{\"coefficients\":[0.7],\"exponent\":0}]", "has 1 coefficients"),
    ("[{\"coefficients\":[0.7,1.5],\"exponent\":0}]", "outside the bounds"),
    ("[{\"coefficients\":[0.7,0.5]}]", "has no exponent"),
    ("[{\"coefficients\":[0.7,0.5],\"exponent\":2}]", "no number from 0 to 1"),
    ("[{\"coefficients\":[0.7,\"x\"],\"exponent\":0}]", "not a finite number"),
    ("[{\"a\":0.7,\"exponent\":0}]", "it takes those of a, b"),
    ("[{\"a\":0.7,\"b\":{\"x\":1},\"exponent\":0}]", "they are all"),
    ("[{\"coefficients\":[0.7,0.5],\"exponent\":0,\"note\":1}]", "unknown members note"),
    ("[5]", "is not an object"), ("{\"a\":1}", "is not a list"),
  ])
  func testEnqueueOfAnotherForm_isRefused(_ list: String, _ says: String) throws {
    let fixture = try SearchFixture()
    let error = #expect(throws: DFMergeError.self) { try fixture.search("{\"enqueue\":\(list)}") }
    #expect(error?.context["option"] == "enqueue" && error?.message.contains(says) == true)
  }

  @Test(arguments: [
    ("{\"coefficients\":[0.7,0.5],\"exponent\":0}", "needs scores"),
    ("{\"a\":1,\"b\":1,\"exponent\":0,\"scores\":{\"a\":1}}", "needs scores"),
    ("{\"a\":1,\"b\":1,\"exponent\":0,\"scores\":[1,null]}", "needs scores"),
    ("{\"a\":1,\"b\":1,\"exponent\":0,\"scores\":[1,1],\"variances\":[-1,0]}", "variances"),
    ("{\"a\":1,\"exponent\":0,\"scores\":[1,1]}", "it takes those of"),
  ])
  func testObservationsOfAnotherForm_areRefused(_ item: String, _ says: String) throws {
    let fixture = try SearchFixture()
    let error = #expect(throws: DFMergeError.self) {
      try fixture.search("{\"observations\":[\(item)]}")
    }
    #expect(error?.context["option"] == "observations" && error?.message.contains(says) == true)
  }

  @Test func testObservations_teachAndAreNeitherTrialsNorTheBest() throws {
    let fixture = try SearchFixture()
    let search = try fixture.search(
      "{\"trials\":8,\"initial\":4,\"observations\":[\(SearchBeginningTests.observation)]}")
    #expect(search.trials.isEmpty && search.optimizer.history.count == 1)
    let result = try search.run(journal: nil, host: fixture)
    // Its score of 5 is above all that can be reached here.
    #expect(result.trials.map(\.number) == Array(0..<8))
    #expect((result.best.value ?? 5) < 1)
    #expect(search.optimizer.history.count == 9)
    // It counts towards the start: three trials, then the model chooses.
    #expect(result.trials.map(\.origin).firstIndex(of: "search") == 3)
    #expect(result.json["observations"] == .int(1))
    let front = try #require(result.json["pareto"]?.arrayValue).compactMap(\.intValue)
    #expect(!front.isEmpty && front.allSatisfy { (0..<8).contains($0) })
  }

  @Test func testObservations_leadTheSearchToWhereTheyWereGood() throws {
    let known = (0..<12).map { index -> String in
      let (a, b) = (Double(index % 4) / 3, Double(index / 4) / 2)
      let score = 1 - (a - 0.6) * (a - 0.6) - (b - 0.2) * (b - 0.2)
      return "{\"coefficients\":[\(a),\(b)],\"exponent\":0,\"scores\":[\(score),\(score)]}"
    }
    let fixture = try SearchFixture()
    let result = try fixture.search(
      "{\"fisher\":\"none\",\"trials\":4,\"observations\":[\(known.joined(separator: ","))]}"
    ).run(journal: nil, host: fixture)
    #expect(result.trials.allSatisfy { $0.origin == "search" })
    #expect(abs(result.best.candidate.coefficients[0] - 0.6) < 0.1)
    #expect(abs(result.best.candidate.coefficients[1] - 0.2) < 0.1)
  }

  @Test func testObservationsOutsideTheSpace_areLeftOutAndSaid() throws {
    let fixture = try SearchFixture()
    let search = try fixture.search(
      "{\"exponent\":1,\"bounds\":[0,0.5],\"observations\":[\(SearchBeginningTests.observation),"
        + "{\"coefficients\":[0.1,0.2],\"scores\":[1,1]}]}")
    #expect(search.optimizer.history.count == 1)
    #expect(search.warnings.first?.contains("1 of 2 observations") == true)
  }

  @Test func testEnqueue_ofWhatWasObservedIsEvaluatedHere() throws {
    let fixture = try SearchFixture()
    let result = try fixture.search(
      "{\"trials\":3,\"observations\":[\(SearchBeginningTests.observation)],"
        + "\"enqueue\":[{\"coefficients\":[0.6,0.2],\"exponent\":0}]}"
    ).run(journal: nil, host: fixture)
    #expect(result.trials[0].candidate == Candidate(coefficients: [0.6, 0.2], exponent: 0))
    #expect(result.trials[1].candidate != result.trials[0].candidate)
  }

  @Test func testSingles_areTheModelsThemselves() throws {
    let fixture = try SearchFixture()
    var exact: [Bool] = []
    let search = try fixture.search("{\"trials\":10,\"initial\":2,\"singles\":true}")
    let models = fixture.models.compactMap { $0.weights.tensor(named: "w") }
    fixture.beforeEvaluation = { _ throws(DFMergeError) in
      exact.append(
        models.contains { $0.bytes.bindMemory(to: Float.self).elementsEqual(fixture.merged) })
      return true
    }
    let result = try search.run(journal: nil, host: fixture)
    // Five known points, 1/M being 0.5, and two models: the start grew to hold them.
    #expect(result.trials.map(\.origin).prefix(7).allSatisfy { $0 == "informed" })
    #expect(exact == (0..<10).map { $0 == 5 || $0 == 6 })
    #expect(result.trials[5].candidate == Candidate(coefficients: [1, 0], exponent: 0))
    let narrow = try fixture.search("{\"singles\":true,\"bounds\":{\"a\":[0,1],\"b\":[0.1,1]}}")
    #expect(narrow.warnings.first?.contains("a alone") == true)
  }

  @Test func testSinglesWithoutExponentZero_areRefused() throws {
    let fixture = try SearchFixture()
    for options in ["{\"singles\":true,\"exponent\":1}", "{\"singles\":true,\"preset\":\"paper\"}"]
    {
      let error = #expect(throws: DFMergeError.self) { try fixture.search(options) }
      #expect(error?.context["option"] == "singles")
    }
  }

  @Test func testMargin_isOverAveragingAndTheBestBaseline() throws {
    let fixture = try SearchFixture()
    let result = try fixture.search("{\"trials\":20,\"best_by\":\"observed\"}")
      .run(journal: nil, host: fixture)
    let average = try #require(result.json["margin"]?["average"])
    #expect(average["name"] == .string("average") && average["number"] == .int(0))
    #expect(average["value"]?.doubleValue == result.trials[0].value)
    let baseline = try #require(result.json["margin"]?["baseline"])
    let plain = result.trials.filter { $0.origin == "informed" && $0.candidate.exponent == 0 }
    #expect(baseline["value"]?.doubleValue == plain.compactMap(\.value).max())
    let ends = try #require(average["interval"]?.arrayValue).compactMap(\.doubleValue)
    let difference = try #require(average["difference"]?.doubleValue)
    #expect(ends[0] < difference && difference < ends[1])
    // The noise-free scores differ by what was observed, within the interval.
    let observed = (result.best.value ?? 0) - (result.trials[0].value ?? 0)
    #expect(observed > ends[0] && observed < ends[1])
  }

  @Test func testMargin_isNullWhereNoBaselineWasEvaluated() throws {
    let fixture = try SearchFixture()
    let result = try fixture.search("{\"trials\":6,\"informed\":false,\"tasks\":[\"a\",\"b\"]}")
      .run(journal: nil, host: fixture)
    #expect(result.json["margin"] == .object(["average": .null, "baseline": .null]))
    let single = try SwiftDoorTests.singleTask(trials: 3)
    #expect(single.json["pareto"] == .null)
    #expect(single.json["margin"]?["average"]?["difference"]?.doubleValue == 0)
  }
}
