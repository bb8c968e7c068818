import DFMergeCore
import Testing

@testable import DFMergeBO

/// Scores of `count` tasks: smooth, each with an optimum of its own, positive in the cube.
func taskScores(_ x: [Double], _ count: Int) -> [Double] {
  (0..<count).map { t in
    let loss = x.enumerated().reduce(0.0) { total, item in
      let u = item.element - 0.2 - 0.6 * Double((t + item.offset) % count) / Double(count)
      return total + Double(1 + t) * u * u
    }
    return 0.9 - 0.4 * loss + 0.02 * scalarSin(9 * x[0] + Double(t))
  }
}

/// An objective of `count` tasks named so that their order differs from that of their names.
func objective(
  _ aggregate: Objective.Aggregate, _ count: Int, floors: [Double] = []
) throws -> Objective {
  let tasks = (0..<count).map { "t\((7 - $0) % 8)" }
  var weights: [String: Double] = [:]
  if aggregate == .weighted {
    for (t, task) in tasks.enumerated() { weights[task] = 1 + Double(t) }
  }
  return try Objective(
    tasks: tasks, aggregate: aggregate, weights: weights,
    floors: Dictionary(zip(tasks, floors)) { first, _ in first })
}

/// An optimiser with `trials` Sobol' trials told.
func toldOptimizer(
  _ objective: Objective, modelling: OptimizerOptions.Modelling, dimension: Int = 2,
  trials: Int = 12, variance: Double? = nil, _ scores: ([Double]) -> [Double]
) throws -> Optimizer {
  var options = OptimizerOptions.default
  options.seed = 11
  options.initial = trials
  options.modelling = modelling
  let optimizer = try Optimizer(dimension: dimension, objective: objective, options: options)
  for _ in 0..<trials {
    let suggestion = try optimizer.ask()
    let values = scores(suggestion.point)
    try optimizer.tell(
      suggestion.number, scores: Scores(values, variances: values.map { _ in variance }))
  }
  return optimizer
}

@Suite struct AggregationTests {
  private let standardisations = [[0.2, 0.5, 0.8], [1, 5, 6], [-1, 0, 4]].map {
    Standardisation($0, clipped: false)
  }

  @Test func values_areThoseOfTheObjective() throws {
    let scores = [0.6, 3.0, 2.0]
    let z = zip(scores, standardisations).map { ($0 - $1.shift) / $1.scale }
    let weights = [0.25, 0.5, 0.25]
    let linear = Aggregation(.linear, weights: weights, standardisations: standardisations)
    expectClose(linear.score(linear.value(z)), 0.15 + 1.5 + 0.5, relative: 1e-14)
    let minimum = Aggregation(.minimum, weights: weights, standardisations: standardisations)
    expectClose(minimum.score(minimum.value(z)), 0.6, relative: 1e-14)
    let geometric = Aggregation(.geometric, weights: weights, standardisations: standardisations)
    expectClose(
      geometric.score(geometric.value(z)), scalarExp(scalarLog(0.6 * 3 * 2) / 3), relative: 1e-5)
    // An output that is only constrained has no part in any of them.
    let two = Aggregation(.minimum, weights: [0, 0.5, 0.5], standardisations: standardisations)
    expectClose(two.score(two.value(z)), 2, relative: 1e-14)
  }

  @Test(arguments: [Aggregation.Form.linear, .minimum, .geometric])
  func slopes_matchCentralDifferences(form: Aggregation.Form) {
    let aggregation = Aggregation(
      form, weights: [0.2, 0.3, 0.5], standardisations: standardisations)
    for z in [[0.3, -0.4, 0.9], [-1, 2, 0.1], [0.1, -2.9, 3]] {
      let slopes = Scratch(3)
      _ = z.withUnsafeBufferPointer { buffer in
        buffer.baseAddress.map { aggregation.value($0, slopes: slopes.pointer) }
      }
      let expected = centralDifferences(at: z, step: 1e-6) { aggregation.value($0) }
      for t in 0..<3 { expectClose(slopes.pointer[t], expected[t], relative: 1e-5, floor: 0.1) }
      withExtendedLifetime(slopes) {}
    }
  }

  @Test func geometricMean_ofADrawBelowZero_isSmallPositiveAndStillRises() {
    let aggregation = Aggregation(
      .geometric, weights: [1, 1, 1], standardisations: standardisations)
    var last = 0.0
    for z in [-1e6, -1e3, -10, -3, -2.5, 0] {
      let value = aggregation.value([z, 1, 1])
      #expect(value > last && value.isFinite)
      last = value
    }
  }
}

@Suite struct ObjectiveModelTests {
  @Test func oneTask_hasTheSameBitsEitherWay() throws {
    let named = try Objective(tasks: ["accuracy"])
    var options = OptimizerOptions.default
    options.initial = 4
    var points: [[[Double]]] = []
    for (objective, modelling) in [
      (Objective.single, OptimizerOptions.Modelling.aggregate), (named, .tasks),
      (named, .aggregate),
    ] {
      options.modelling = modelling
      let optimizer = try Optimizer(dimension: 2, objective: objective, options: options)
      points.append(try run(optimizer, 9, cliff).history.map(\.point))
    }
    #expect(points[0] == points[1] && points[0] == points[2])
  }

  @Test(arguments: Objective.Aggregate.allCases)
  func orderOfTheTasks_changesNoBit(aggregate: Objective.Aggregate) throws {
    let tasks = ["c", "a", "d", "b"]
    let order = [2, 0, 3, 1]
    let weights = ["a": 1.0, "b": 0.5, "c": 2, "d": 0]
    let used = aggregate == .weighted ? weights : [:]
    let floors = ["d": 0.4, "b": 0.3]
    let one = try toldOptimizer(
      Objective(tasks: tasks, aggregate: aggregate, weights: used, floors: floors),
      modelling: .tasks
    ) { taskScores($0, 4) }
    let other = try toldOptimizer(
      Objective(
        tasks: order.map { tasks[$0] }, aggregate: aggregate, weights: used, floors: floors),
      modelling: .tasks
    ) { x in order.map { taskScores(x, 4)[$0] } }
    for _ in 0..<3 {
      let (a, b) = (try one.ask(), try other.ask())
      #expect(a == b)
      let scores = taskScores(a.point, 4)
      try one.tell(a.number, scores: Scores(scores))
      try other.tell(b.number, scores: Scores(order.map { scores[$0] }))
    }
  }

  @Test func identicalTasks_haveTheMeanOfOne_andHardlyLessDoubt() throws {
    let single = try toldOptimizer(.single, modelling: .aggregate) { [taskScores($0, 1)[0]] }
    let many = try toldOptimizer(objective(.mean, 4), modelling: .tasks) { x in
      (0..<4).map { _ in taskScores(x, 1)[0] }
    }
    // ρ = 1 - λ with λ = 2 / (12 + 2): σ² (1 + 3 (1 - λ)) / 4.
    let lambda = 2.0 / 14
    let factor = ((1 + 3 * (1 - lambda)) / 4).squareRoot()
    for x in [[0.2, 0.7], [0.5, 0.5], [0.95, 0.1]] {
      let (a, b) = (try single.predict(x), try many.predict(x))
      expectClose(b.mean, a.mean, relative: 1e-9)
      expectClose(b.sd, a.sd * factor, relative: 1e-9)
    }
  }

  @Test func correlation_isThatOfTheWhitenedResiduals() throws {
    let optimizer = try toldOptimizer(objective(.mean, 2), modelling: .tasks) { x in
      let score = taskScores(x, 1)[0]
      return [score, 1 - score]
    }
    let rho = try optimizer.model().correlation
    // Opposite tasks: -(1 - λ), up to the clipping of low scores.
    #expect(rho.matrix[0] == 1 && rho.matrix[3] == 1 && rho.matrix[1] == rho.matrix[2])
    #expect(rho.matrix[1] < -0.5 && rho.matrix[1] >= -(1 - 2.0 / 14) - 1e-12)
    let rows = Scratch([1, 0, 0, 1])
    rho.mix(rows.pointer, columns: 2)
    // The rows are now those of the root: their products are ρ.
    let r = (0..<4).map { rows.pointer[$0] }
    expectClose(r[0] * r[2] + r[1] * r[3], rho.matrix[1], relative: 1e-12)
    expectClose(r[2] * r[2] + r[3] * r[3], 1, relative: 1e-12)
  }

  @Test(arguments: Objective.Aggregate.allCases, [1e-12, 1e12])
  func scoresOfAnyMagnitude_andFailures(
    aggregate: Objective.Aggregate, magnitude: Double
  ) throws {
    let optimizer = try toldOptimizer(
      objective(aggregate, 3, floors: [0.1 * magnitude]), modelling: .tasks, trials: 6
    ) { taskScores($0, 3).map { $0 * magnitude } }
    try optimizer.tellFailed(try optimizer.ask().number)
    for _ in 0..<3 {
      let batch = try optimizer.ask(2)
      for suggestion in batch {
        #expect(suggestion.point.allSatisfy { (0...1).contains($0) })
        try optimizer.tell(
          suggestion.number,
          scores: Scores(taskScores(suggestion.point, 3).map { $0 * magnitude }))
      }
    }
    let points = optimizer.history.map(\.point)
    #expect(Set(points).count == points.count)
    let best = try optimizer.best()
    #expect(best.mean.isFinite && best.sd.isFinite && best.sd >= 0)
    expectClose(best.mean, best.value, relative: 0.2)
    let left = try optimizer.improvementLeft()
    #expect(left >= 0 && left < magnitude)
  }

  @Test func negativeScoresUnderAGeometricMean_areFailedTrials_andModelledAllTheSame() throws {
    let optimizer = try toldOptimizer(objective(.geometric, 2), modelling: .tasks) { x in
      [x[0] - 0.3, 1 - x[0] + 0.1 * x[1]]
    }
    #expect(optimizer.history.contains { $0.value == nil })
    for _ in 0..<6 {
      let suggestion = try optimizer.ask()
      let x = suggestion.point
      try optimizer.tell(
        suggestion.number, scores: Scores([x[0] - 0.3, 1 - x[0] + 0.1 * x[1]]))
    }
    // The maximum, √(0.4 · 0.4), lies at (0.7, 1).
    #expect(try optimizer.best(by: .observed).value > 0.38)
  }
}
