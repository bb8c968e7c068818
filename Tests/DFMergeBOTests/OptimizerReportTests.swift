import DFMergeCore
import Testing

@testable import DFMergeBO

/// What an optimiser says about its trials besides the next point.
@Suite struct OptimizerReportTests {
  private func optimizer(
    _ dimension: Int = 2, objective: Objective = .single, initial: Int = 5
  ) throws -> Optimizer {
    var options = OptimizerOptions.default
    options.seed = 4
    options.initial = initial
    return try Optimizer(dimension: dimension, objective: objective, options: options)
  }

  @Test(arguments: [1, 2, 4], [0, 1, 17] as [UInt64])
  func paretoFront_isThatOfBruteForce(tasks: Int, seed: UInt64) throws {
    // Scores of five levels, so that ties and duplicates are common.
    var random = CounterRandom(seed: seed, purpose: "front")
    let rows = (0..<40).map { _ in
      (0..<tasks).map { _ in (5 * random.uniform()).rounded(.down) / 5 }
    }
    let objective = try Objective(tasks: (0..<tasks).map { "t\($0)" })
    let optimizer = try optimizer(1, objective: objective)
    #expect(optimizer.paretoFront().isEmpty)
    for (i, row) in rows.enumerated() {
      try optimizer.record(
        Trial(
          number: 2 * i, point: [Double(i) / 40], origin: .initial,
          scores: i % 7 == 3 ? nil : Scores(row)))
    }
    let told = rows.indices.filter { $0 % 7 != 3 }
    let expected = told.filter { i in
      told.allSatisfy { j in
        // j does not dominate i: equal, or worse somewhere.
        rows[j] == rows[i] || rows[j].indices.contains { rows[j][$0] < rows[i][$0] }
      }
    }
    #expect(optimizer.paretoFront() == expected.map { 2 * $0 })
  }

  @Test func best_respectsFloors_andTakesTheLeastViolationWhileNothingIsFeasible() throws {
    let objective = try Objective(tasks: ["a", "b"], floors: ["b": 0.5])
    let optimizer = try optimizer(1, objective: objective)
    for (i, row) in [[0.9, 0.1], [0.2, 0.4], [0.8, 0.3]].enumerated() {
      try optimizer.observe([0.2 + 0.3 * Double(i)], scores: Scores(row))
    }
    let least = try optimizer.best(by: .observed)
    #expect(least.number == 1 && !least.isFeasible)
    expectClose(least.violation, 0.1, relative: 1e-12)
    try optimizer.observe([0.05], scores: Scores([0.1, 0.5]))
    try optimizer.observe([0.95], scores: Scores([0.3, 0.6]))
    let best = try optimizer.best(by: .observed)
    #expect(best.number == 4 && best.isFeasible && best.violation == 0)
  }

  @Test func cost_countsFullTrials_firstStages_andNothingFromElsewhere() throws {
    var options = OptimizerOptions.default
    options.subsetShare = 0.25
    let optimizer = try Optimizer(dimension: 1, options: options)
    #expect(optimizer.cost == 0)
    try optimizer.tell(try optimizer.ask().number, value: 0.5)
    try optimizer.tellFailed(try optimizer.ask().number)
    try optimizer.observe([0.5], scores: Scores([0.4]))
    #expect(optimizer.cost == 2)
    try optimizer.record(
      Trial(number: 9, point: [0.3], origin: .search, scores: nil, subset: Scores([0.1])))
    #expect(optimizer.cost == 2.25)
    for share in [0, 1, -0.5, .nan] {
      options.subsetShare = share
      #expect(code { _ = try Optimizer(dimension: 1, options: options) } == .invalidOption)
    }
  }

  @Test func improvementLeft_isTheLargestOfTheCube_inScoreUnits() throws {
    let (one, scaled) = (try optimizer(), try optimizer())
    #expect(code { _ = try one.improvementLeft() } == .invalidState)
    try run(one, 8, cliff)
    for trial in one.history {
      let value = try #require(trial.value)
      try scaled.record(
        Trial(
          number: trial.number, point: trial.point, origin: trial.origin, value: value * 0x1p20))
    }
    let left = try one.improvementLeft()
    #expect(left > 0 && left < 1)
    // Powers of two keep the bits of what is standardised.
    expectClose(try scaled.improvementLeft(), left * 0x1p20, relative: 1e-6)
    // Pending suggestions say nothing about what is left.
    _ = try one.ask(2)
    #expect(try one.improvementLeft() == left)
    let model = try one.model()
    let best = model.aggregation.score(model.meansAtData.max() ?? 0)
    for i in 0...20 {
      for j in 0...20 {
        // E max(0, f(x) - max f) is at most E max(0, f(x) - f(x_1)), and no less than that of a
        // best that is known is roughly it.
        let (mean, sd) = try one.predict([Double(i) / 20, Double(j) / 20])
        let improvement = sd * Normal.improvement((mean - best) / sd)
        #expect(left > 0.5 * improvement)
      }
    }
    try run(one, 25, cliff)
    #expect(try one.improvementLeft() < 0.3 * left)
  }

  @Test func importance_findsTheCoordinateThatMatters() throws {
    let optimizer = try run(optimizer(3), 25) { 4 * ($0[0] - 0.4) * ($0[1] - 0.3) + 3 * $0[0] }
    let shares = try optimizer.importance()
    expectClose(shares.reduce(0, +), 1, relative: 1e-12)
    #expect(shares[0] > shares[1] && shares[1] > 4 * shares[2] && shares[2] >= 0)
    let flat = try run(self.optimizer(4), 6) { _ in 0.5 }
    #expect(try flat.importance() == [0.25, 0.25, 0.25, 0.25])
  }
}
