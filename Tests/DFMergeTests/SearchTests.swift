import Testing

@testable import DFMerge
@testable import DFMergeCore

@Suite struct SearchTests {
  @Test(arguments: ["none", "static", "dynamic", "interpolated"])
  func testRun_findsTheKnownCoefficients(_ mode: String) throws {
    let fixture = try SearchFixture()
    // Equal Fisher values make every mode task arithmetic, whose optimum is known.
    fixture.fisherValue = { _, _, _ in 1 }
    let search = try fixture.search("{\"fisher\":\"\(mode)\",\"trials\":30,\"seed\":4}")
    let result = try search.run(journal: nil, host: fixture)
    #expect(abs(result.best.candidate.coefficients[0] - 0.6) < 0.05)
    #expect(abs(result.best.candidate.coefficients[1] - 0.2) < 0.05)
    #expect(result.trials.count == 30)
    #expect(fixture.evaluations == 30)
    let interval = try #require(result.interval)
    #expect(interval.contains(0.95))
  }

  @Test func testRun_leavesTheBestCandidateInTheTarget() throws {
    let fixture = try SearchFixture()
    let search = try fixture.search("{\"trials\":12}")
    let result = try search.run(journal: nil, host: fixture)
    let left = fixture.merged
    try search.apply(result.best.candidate, host: fixture)
    #expect(fixture.merged == left)
  }

  @Test(arguments: [0, 3, 7, 11])
  func testRunAgain_afterAStopMakesTheTrialsOfAnUninterruptedRun(_ stop: Int) throws {
    let fixture = try SearchFixture()
    let search = try fixture.search("{\"trials\":12,\"initial\":6}")
    fixture.beforeEvaluation = { number throws(DFMergeError) in
      if number == stop { throw DFMergeError(.cancelled, "stopped by the test") }
      return true
    }
    #expect(throws: DFMergeError.self) { try search.run(journal: nil, host: fixture) }
    fixture.beforeEvaluation = { _ throws(DFMergeError) in true }
    let result = try search.run(journal: nil, host: fixture)
    let fresh = try SearchFixture()
    let whole = try fresh.search("{\"trials\":12,\"initial\":6}").run(journal: nil, host: fresh)
    #expect(result.trials.map(\.point) == whole.trials.map(\.point))
    #expect(fixture.merged == fresh.merged)
  }

  @Test func testStaticFisher_isMeasuredOncePerModelAtTheModel() throws {
    let fixture = try SearchFixture()
    _ = try fixture.search("{\"trials\":9,\"exponent\":1,\"fisher\":\"static\"}").run(
      journal: nil, host: fixture)
    #expect(fixture.fisherCalls.map(\.model) == [0, 1])
    #expect(fixture.fisherCalls.allSatisfy { $0.coefficient == 1 })
  }

  @Test func testDynamicFisher_isMeasuredAtEveryCandidate() throws {
    let fixture = try SearchFixture()
    let search = try fixture.search("{\"preset\":\"paper\",\"trials\":11}")
    let result = try search.run(journal: nil, host: fixture)
    // One measurement per model and trial, and again for the final merge.
    #expect(fixture.fisherCalls.count == 2 * 12)
    for (index, trial) in result.trials.enumerated() {
      let calls = fixture.fisherCalls[2 * index..<2 * index + 2]
      #expect(calls.map(\.coefficient) == trial.candidate.coefficients)
    }
  }

  @Test func testInterpolatedFisher_isExactWhereItIsLinearAndMeasuredOnNodesOnly() throws {
    // The fixture's Fisher is linear in the coefficient, so interpolation must equal measurement.
    let exact = try SearchFixture()
    let nodes = try SearchFixture()
    let candidate = Candidate(coefficients: [0.37, 0.81], exponent: 1)
    try exact.search("{\"fisher\":\"dynamic\",\"exponent\":1,\"fisher_position\":0}")
      .apply(candidate, host: exact)
    let search = try nodes.search(
      "{\"fisher\":\"interpolated\",\"exponent\":1,\"nodes\":5,\"fisher_position\":0}")
    try search.apply(candidate, host: nodes)
    for (left, right) in zip(exact.merged, nodes.merged) { #expect(abs(left - right) < 1e-6) }
    #expect(nodes.fisherCalls.map(\.coefficient) == [0.25, 0.5, 0.75, 1])
    try search.apply(candidate, host: nodes)
    #expect(nodes.fisherCalls.count == 4)
  }

  @Test(arguments: [0, 0.25, 0.5, 1])
  func testFisherPosition_movesTheMeasurementTowardsTheModel(_ position: Double) throws {
    let candidate = Candidate(coefficients: [0.2, 0.6], exponent: 1)
    let dynamic = try SearchFixture()
    try dynamic.search("{\"fisher\":\"dynamic\",\"exponent\":1,\"fisher_position\":\(position)}")
      .apply(candidate, host: dynamic)
    for (call, c) in zip(dynamic.fisherCalls, candidate.coefficients) {
      #expect(abs(call.coefficient - (c + position * (1 - c))) < 1e-15)
    }
    let nodes = try SearchFixture()
    try nodes.search("{\"exponent\":1,\"fisher_position\":\(position)}")
      .apply(candidate, host: nodes)
    for (left, right) in zip(dynamic.merged, nodes.merged) { #expect(abs(left - right) < 1e-6) }
    let range = position...1
    #expect(nodes.fisherCalls.allSatisfy { range.contains($0.coefficient) })
  }

  @Test func testExponentZero_needsNoFisherAndIsTaskArithmetic() throws {
    let fixture = try SearchFixture()
    try fixture.search("{\"fisher\":\"static\"}").apply(
      Candidate(coefficients: [0.5, 0.25], exponent: 0), host: fixture)
    #expect(fixture.fisherCalls.isEmpty)
  }

  @Test func testFailedTrials_areDataNotTheEnd() throws {
    let fixture = try SearchFixture()
    fixture.beforeEvaluation = { number throws(DFMergeError) in number % 3 != 1 }
    let result = try fixture.search("{\"trials\":15}").run(journal: nil, host: fixture)
    #expect(result.trials.filter { !$0.isComplete }.map(\.number) == [1, 4, 7, 10, 13])
    #expect(result.best.isComplete)
  }

  @Test func testNonFiniteFisher_failsTheTrialWithItsReason() throws {
    let fixture = try SearchFixture()
    var calls = 0
    fixture.fisherValue = { _, _, element in
      calls += 1
      return calls < 80 && element == 3 ? .nan : 1
    }
    let result = try fixture.search("{\"preset\":\"paper\",\"trials\":6,\"initial\":5}")
      .run(journal: nil, host: fixture)
    #expect(result.trials[0].failure?.contains("element 3 of tensor 'w'") == true)
    #expect(result.trials.last?.isComplete == true)
  }

  @Test func testAllTrialsFailed_isAnErrorWithTheFirstReason() throws {
    let fixture = try SearchFixture()
    fixture.beforeEvaluation = { _ throws(DFMergeError) in false }
    let search = try fixture.search("{\"trials\":12}")
    let error = #expect(throws: DFMergeError.self) { try search.run(journal: nil, host: fixture) }
    #expect(error?.code == .allTrialsFailed)
    #expect(search.trials.count == 12)
  }

  @Test func testHostError_endsTheRunAndKeepsTheTrials() throws {
    let fixture = try SearchFixture()
    fixture.beforeEvaluation = { number throws(DFMergeError) in
      if number == 5 { throw DFMergeError(.callbackFailed, "stop here") }
      return true
    }
    let search = try fixture.search()
    let error = #expect(throws: DFMergeError.self) { try search.run(journal: nil, host: fixture) }
    #expect(error?.message == "stop here")
    #expect(search.trials.count == 5)
    #expect(try search.currentResult().best.isComplete)
  }

  @Test func testBounds_areKept() throws {
    let fixture = try SearchFixture()
    let result = try fixture.search(
      "{\"bounds\":{\"a\":[0.7,0.9],\"b\":[-1,0.1]},\"trials\":14,\"fisher\":\"none\"}"
    ).run(journal: nil, host: fixture)
    for trial in result.trials {
      #expect((0.7...0.9).contains(trial.candidate.coefficients[0]))
      #expect((-1...0.1).contains(trial.candidate.coefficients[1]))
    }
  }

  @Test(arguments: [
    ("{\"fisher\":\"none\",\"exponent\":0.5}", "exponent"),
    ("{\"fisher\":\"static\",\"nodes\":4}", "nodes"), ("{\"kappa\":2}", "kappa"),
    ("{\"fisher\":\"static\",\"fisher_position\":0.5}", "fisher_position"),
    ("{\"xi\":0.1}", "xi"),
    ("{\"task_weights\":{\"a\":1,\"b\":1}}", "task_weights"),
    ("{\"aggregate\":\"weighted\"}", "task_weights"), ("{\"tasks\":[]}", "tasks"),
    ("{\"trials\":0}", "trials"), ("{\"seed\":-1}", "seed"),
  ])
  func testOptionsWithoutEffectOrSense_areRefused(_ text: String, _ option: String) throws {
    let fixture = try SearchFixture()
    let error = #expect(throws: DFMergeError.self) { try fixture.search(text) }
    #expect(error?.context["option"] == option)
  }

  @Test func testSharedMemory_isRefused() throws {
    let fixture = try SearchFixture()
    let own = try TensorView(
      name: "w", dtype: .f32, shape: fixture.target[0].shape,
      bytes: UnsafeRawBufferPointer(fixture.target[0].bytes))
    let error = #expect(throws: DFMergeError.self) {
      try Search(
        target: fixture.target, base: try NamedWeights([own], label: "base"), models: fixture.models
      )
    }
    #expect(error?.message.contains("target's own memory") == true)
  }

  @Test func testModelCalledExponent_isRefused() throws {
    let fixture = try SearchFixture()
    let error = #expect(throws: DFMergeError.self) {
      try Search(
        target: fixture.target, base: fixture.base,
        models: [("exponent", fixture.models[0].weights)])
    }
    #expect(error?.message.contains("another name") == true)
  }

  @Test func testPaperPreset_isThePaper() throws {
    let options = try SearchOptions(.object(["preset": .string("paper")]), models: ["a"])
    #expect(options.trials == 60 && options.initial == 10)
    #expect(options.bounds == [0...1])
    #expect(options.acquisition == "ei" && options.xi == 0.01)
    #expect(options.fisherMode == .dynamic && options.exponent == 1 && options.epsilon == 1e-12)
    #expect(options.fisherPosition == 0)
    #expect(!options.isInformed && !options.bestByPosteriorMean)
    #expect(options.objective.aggregate == .mean)
  }

  @Test(arguments: [1e300, -1e300, Double.greatestFiniteMagnitude])
  func testApply_takesAnyFiniteCoefficientInterpolated(_ coefficient: Double) throws {
    let fixture = try SearchFixture()
    let search = try fixture.search("{\"fisher_position\":0,\"bounds\":[0,1e-300]}")
    // Far outside the interval the Fisher is that of its end; the result need not be finite.
    _ = try? search.apply(
      Candidate(coefficients: [coefficient, 0], exponent: 1), host: fixture)
    #expect(fixture.fisherCalls.map(\.coefficient) == [coefficient > 0 ? 1e-300 : 0, 0])
  }

  @Test(arguments: [0, 3, 7])
  func testRunAgain_afterAStopGoesOnWithTheSameTrials(_ stop: Int) throws {
    let options = "{\"trials\":12,\"initial\":4}"
    let whole = try SearchFixture()
    let expected = try whole.search(options).run(journal: nil, host: whole)
    let fixture = try SearchFixture()
    fixture.beforeEvaluation = { number throws(DFMergeError) in
      if number == stop { throw DFMergeError(.callbackFailed, "stop here") }
      return true
    }
    let search = try fixture.search(options)
    for _ in 0..<2 {
      #expect(throws: DFMergeError.self) { try search.run(journal: nil, host: fixture) }
    }
    fixture.beforeEvaluation = { _ throws(DFMergeError) in true }
    let result = try search.run(journal: nil, host: fixture)
    #expect(result.trials.map(\.point) == expected.trials.map(\.point))
    #expect(result.trials.map(\.value) == expected.trials.map(\.value))
    #expect(fixture.merged == whole.merged)
  }

  @Test func testScoresAtTheEndsOfTheRange_giveAResultThatCanBeWritten() throws {
    let ends: [[Double]] = [
      [1.7e308, -1.7e308], [.leastNonzeroMagnitude, 0], [1e308, 1e308], [-0.0, -0.0],
    ]
    for scores in ends {
      for aggregate in ["mean", "minimum"] {
        let host = ScriptedHost { number in
          [scores[number % 2], scores[number % 2]]
        }
        let fixture = try SearchFixture()
        let search = try fixture.search(
          "{\"trials\":8,\"initial\":4,\"fisher\":\"none\",\"aggregate\":\"\(aggregate)\"}")
        do {
          let result = try search.run(journal: nil, host: host)
          #expect(try result.json.text().contains("\"best\""))
          #expect(try result.bestEvent.text().contains("\"value\":-0") == (scores[0] < 0))
        } catch {
          // The sum of two scores is beyond the range: every trial has failed, none was lost.
          #expect(error.code == .allTrialsFailed && search.trials.count == 8)
        }
      }
    }
  }

  @Test func testSharedMemory_isRefusedUnderAnyName() throws {
    let memory = try AlignedBuffer(byteCount: 64)
    func part(_ name: String, _ low: Int, _ high: Int) throws -> MutableTensorView {
      try MutableTensorView(
        name: name, dtype: .f32, shape: try Shape([(high - low) / 4]),
        bytes: UnsafeMutableRawBufferPointer(rebasing: memory.bytes[low..<high]))
    }
    func lent(_ tensor: MutableTensorView, as name: String) throws -> TensorView {
      try TensorView(
        name: name, dtype: .f32, shape: tensor.shape, bytes: UnsafeRawBufferPointer(tensor.bytes))
    }
    let (x, y) = (try part("x", 0, 16), try part("y", 16, 32))
    func refusal(_ target: [MutableTensorView], _ base: [TensorView]) -> DFMergeError? {
      #expect(throws: DFMergeError.self) {
        try Search(
          target: target, base: try NamedWeights(base, label: "base"),
          models: [
            (
              "a",
              try NamedWeights(
                [lent(part("", 32, 48), as: "x"), lent(part("", 48, 64), as: "y")], label: "a")
            )
          ])
      }
    }
    let crossed = refusal([x, y], [try lent(y, as: "x"), try lent(part("", 40, 56), as: "y")])
    #expect(crossed?.message.contains("'x' of base shares memory with tensor 'y'") == true)
    let wide = try part("y", 12, 28)
    let free = [try lent(part("", 32, 48), as: "x"), try lent(part("", 32, 48), as: "y")]
    let torn = refusal([x, wide], free)
    #expect(torn?.message.contains("'x' and 'y' of the target share memory") == true)
    // Inputs may share memory with each other, and a target may touch its neighbour.
    _ = try Search(
      target: [x, y], base: try NamedWeights(free, label: "base"),
      models: [("a", try NamedWeights(free, label: "a"))])
  }
}
