import DFMergeCore
import Testing

@testable import DFMergeBO

/// What the number of examples says of the noise.
@Suite struct ExampleNoiseTests {
  private func options(_ examples: Int?, fresh: Bool = false) -> OptimizerOptions {
    var options = OptimizerOptions.default
    options.examples = examples
    options.freshExamples = fresh
    return options
  }

  private func failure(_ body: () throws -> Void) -> DFMergeError? {
    #expect(throws: DFMergeError.self, performing: body)
  }

  @Test func freshExamples_haveTheBinomialVariance() throws {
    for (score, n, k) in [(0.8, 50, 40.0), (0, 50, 0), (1, 50, 50), (0.5, 1, 0.5)] {
      let optimizer = try Optimizer(dimension: 1, options: options(n, fresh: true))
      try optimizer.observe([0.5], scores: Scores([score]))
      let p = (k + 1) / Double(n + 2)
      let variance = try #require(optimizer.history[0].variance)
      expectClose(variance, p * (1 - p) / Double(n), relative: 1e-12)
      #expect(variance > 0 && optimizer.history[0].scores?.variances == [])
    }
  }

  @Test func freshExamples_aToldVarianceWins() throws {
    let optimizer = try Optimizer(dimension: 1, options: options(50, fresh: true))
    try optimizer.observe([0.5], scores: Scores([0.8], variances: [0.01]))
    #expect(optimizer.history[0].variance == 0.01)
    // A score that is no share of examples is welcome with a variance.
    try optimizer.observe([0.6], scores: Scores([-3], variances: [0.01]))
    #expect(optimizer.history[1].variance == 0.01)
  }

  @Test(arguments: Objective.Aggregate.allCases)
  func freshExamples_ofSeveralTasksFollowTheObjective(_ kind: Objective.Aggregate) throws {
    let objective = try Objective(
      tasks: ["a", "b"], aggregate: kind, weights: kind == .weighted ? ["a": 1, "b": 3] : [:])
    let optimizer = try Optimizer(
      dimension: 1, objective: objective, options: options(100, fresh: true))
    try optimizer.observe([0.5], scores: Scores([0.8, 0.6], variances: [nil, 0.004]))
    let p = 81.0 / 102
    let a = p * (1 - p) / 100
    let geometric = 0.8 * 0.6 * (a / 0.64 + 0.004 / 0.36) / 4
    let expected: [Objective.Aggregate: Double] = [
      .mean: (a + 0.004) / 4, .weighted: (a + 9 * 0.004) / 16, .minimum: 0.004,
      .geometric: geometric,
    ]
    let variance = try #require(optimizer.history[0].variance)
    expectClose(variance, expected[kind] ?? 0, relative: 1e-12)
  }

  /// The smallest noise variance of the model's observations, in score units.
  private func noise(_ optimizer: Optimizer) throws -> [Double] {
    try optimizer.model().roles.map { role in
      let scale = role.output.standardisation.scale
      return (role.output.noise.min() ?? 0) * scale * scale
    }
  }

  @Test(arguments: [OptimizerOptions.Modelling.aggregate, .tasks])
  func fixedExamples_setAFloorUnderTheLearnedNoise(_ kind: OptimizerOptions.Modelling) throws {
    let objective = try Objective(tasks: ["a", "b"])
    var options = options(4)
    options.modelling = kind
    let optimizer = try Optimizer(dimension: 1, objective: objective, options: options)
    var plain = options
    plain.examples = nil
    let other = try Optimizer(dimension: 1, objective: objective, options: plain)
    // A smooth function in steps far finer than 1/4, so that no noise is learned.
    for i in 0..<12 {
      let x = Double(i) / 11
      let scores = Scores([0.5 + 0.4 * x, 0.9 - 0.3 * x * x])
      try optimizer.observe([x], scores: scores)
      try other.observe([x], scores: scores)
    }
    #expect(optimizer.history.allSatisfy { $0.variance == nil })
    let step = 1.0 / (12 * 16)
    let floor = kind == .tasks ? step : 2 * step / 4
    #expect(try noise(optimizer).allSatisfy { $0 >= floor * (1 - 1e-12) })
    #expect(try noise(other).allSatisfy { $0 < floor })
  }

  @Test func freshExamples_ofEachTaskReachItsModel() throws {
    let objective = try Objective(tasks: ["a", "b"], aggregate: .minimum)
    let optimizer = try Optimizer(
      dimension: 1, objective: objective, options: options(100, fresh: true))
    for i in 0..<9 {
      let x = Double(i) / 8
      try optimizer.observe([x], scores: Scores([0.5 + 0.3 * x, 0.9 - 0.4 * x]))
    }
    for (task, role) in try optimizer.model().roles.enumerated() {
      let scale = role.output.standardisation.scale
      for (i, noise) in role.output.noise.enumerated() {
        let score = try #require(optimizer.history[i].scores).values[task]
        let p = (100 * score + 1) / 102
        expectClose(noise * scale * scale, p * (1 - p) / 100, relative: 1e-9)
      }
    }
  }

  @Test func freshExamples_refuseWhatIsNoShare() throws {
    let optimizer = try Optimizer(dimension: 1, options: options(50, fresh: true))
    let asked = try optimizer.ask()
    for score in [-0.1, 1.01, 50] {
      let error = failure { try optimizer.tell(asked.number, value: score) }
      #expect(error?.code == .invalidArgument && error?.message.contains("\(score)") == true)
    }
    #expect(optimizer.history.isEmpty && optimizer.pending.count == 1)
    // With fixed examples any score is welcome.
    try Optimizer(dimension: 1, options: options(50)).observe([0.5], scores: Scores([50]))
  }

  @Test func options_areChecked() throws {
    for (bad, name) in [
      (options(0), "examples"), (options(-1), "examples"),
      (options(nil, fresh: true), "fresh_examples"),
    ] {
      let error = failure { _ = try Optimizer(dimension: 1, options: bad) }
      #expect(error?.code == .invalidOption && error?.context["option"] == name)
    }
    var paper = OptimizerOptions.paper
    paper.examples = 10
    let error = failure { _ = try Optimizer(dimension: 1, options: paper) }
    #expect(error?.context["option"] == "examples")
  }

  /// True share of examples that count: a basin in two dimensions, 0.9 at its centre.
  private func share(_ x: [Double]) -> Double {
    max(0.1, 0.9 - 2 * ((x[0] - 0.35) * (x[0] - 0.35) + (x[1] - 0.6) * (x[1] - 0.6)))
  }

  private func recommended(seed: UInt64, fresh: Bool) throws -> Double {
    let n = 200
    var options = options(fresh ? n : nil, fresh: fresh)
    options.seed = seed
    let optimizer = try Optimizer(dimension: 2, options: options)
    var random = CounterRandom(seed: seed, purpose: "examples")
    for _ in 0..<30 {
      let asked = try optimizer.ask()
      let p = share(asked.point)
      let count = (0..<n).reduce(0) { total, _ in total + (random.uniform() < p ? 1 : 0) }
      try optimizer.tell(asked.number, value: Double(count) / Double(n))
    }
    return share(try optimizer.best(by: .posteriorMean).point)
  }

  @Test func freshExamples_recommendNoWorseThanLearnedNoise() throws {
    var (known, learned) = (0.0, 0.0)
    for seed in 0..<6 {
      known += try recommended(seed: UInt64(seed), fresh: true) / 6
      learned += try recommended(seed: UInt64(seed), fresh: false) / 6
    }
    #expect(known > learned - 0.003 && known > 0.88, "\(known), learned \(learned)")
  }
}
