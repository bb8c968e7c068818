import DFMergeCore
import Testing

@testable import DFMergeBO

/// The acquisition of an aggregate of several outputs against what it stands for.
@Suite struct AcquisitionObjectiveTests {
  private func function(
    _ kind: OptimizerOptions.Acquisition, _ optimizer: Optimizer
  ) throws -> AcquisitionFunction {
    try AcquisitionFunction(
      kind, model: optimizer.model(), highest: optimizer.highestFeasible,
      random: CounterRandom(seed: 5, stream: 5))
  }

  @Test(
    arguments: Objective.Aggregate.allCases,
    [
      OptimizerOptions.Acquisition.expectedImprovement(xi: 0.01),
      .upperConfidenceBound(kappa: 2), .logExpectedImprovement(xi: 0.01),
      .logNoisyExpectedImprovement(samples: 16),
    ])
  func gradients_matchCentralDifferences(
    aggregate: Objective.Aggregate, kind: OptimizerOptions.Acquisition
  ) throws {
    for floors in [[], [0.55, 0.3]] {
      for modelling in OptimizerOptions.Modelling.allCases {
        let optimizer = try toldOptimizer(
          objective(aggregate, 3, floors: floors), modelling: modelling
        ) { taskScores($0, 3) }
        let function = try function(kind, optimizer)
        var random = CounterRandom(seed: 8, stream: 8)
        for _ in 0..<3 {
          let x = (0..<2).map { _ in 0.05 + 0.9 * random.uniform() }
          var gradient = [9.0, 9.0]
          let value = function.value(x, gradient: &gradient)
          #expect(value == function.value(x))
          let expected = centralDifferences(at: x, step: 1e-6) { function.value($0) }
          let size = expected.reduce(1e-9) { max($0, abs($1)) }
          for (a, b) in zip(gradient, expected) { expectClose(a, b, relative: 1e-3, floor: size) }
        }
      }
    }
  }

  /// E[max(0, f(x) - best)] by plain Monte Carlo over correlated normal tasks, and its error.
  private func monteCarlo(
    _ optimizer: Optimizer, _ x: [Double], best: Double, _ aggregate: ([Double]) -> Double
  ) throws -> (mean: Double, error: Double) {
    let model = try optimizer.model()
    let count = model.outputs.count
    let moments = model.outputs.map { $0.surrogate.predict(x) }
    var random = CounterRandom(seed: 3, purpose: "monte carlo")
    let draws = 20_000
    var sum = 0.0
    var squares = 0.0
    for _ in 0..<draws {
      let e = (0..<count).map { _ in SpaceFilling.normal(&random) }
      let y = (0..<count).map { t in
        let mixed = (0...t).reduce(0.0) { $0 + model.correlation.root[t * count + $1] * e[$1] }
        return moments[t].mean + moments[t].deviation * mixed
      }
      let gain = max(0, aggregate(y) - best)
      sum += gain
      squares += gain * gain
    }
    let mean = sum / Double(draws)
    return (mean, ((squares / Double(draws) - mean * mean) / Double(draws)).squareRoot())
  }

  @Test(arguments: Objective.Aggregate.allCases)
  func improvement_isThatOfMonteCarlo(aggregate: Objective.Aggregate) throws {
    let target = try objective(aggregate, 3)
    let optimizer = try toldOptimizer(target, modelling: .tasks, trials: 8) { taskScores($0, 3) }
    let best = try #require(optimizer.highestFeasible)
    let function = try function(.expectedImprovement(xi: 0), optimizer)
    // The tasks in the outputs' order, that of their names.
    let order = target.tasks.indices.sorted { target.tasks[$0] < target.tasks[$1] }
    var compared = 0
    for i in 0..<5 {
      for j in 0..<5 {
        let x = [Double(i) / 4, Double(j) / 4]
        let (mean, error) = try monteCarlo(optimizer, x, best: best) { y in
          var scores = y
          for (position, task) in order.enumerated() { scores[task] = y[position] }
          return target.value(scores)?.value ?? 0
        }
        guard error < 0.04 * mean else { continue }
        compared += 1
        // 128 quasi-random samples and the smoothed kink; the sum is exact.
        let sampled = aggregate == .minimum || aggregate == .geometric
        let tolerance = (sampled ? 0.25 : 0) * mean + 4 * error
        #expect(abs(function.value(x) - mean) < tolerance, "\(function.value(x)), not \(mean)")
      }
    }
    #expect(compared >= 3)
  }

  @Test func improvementOfASum_hasItsClosedForm() throws {
    let optimizer = try toldOptimizer(objective(.mean, 3), modelling: .tasks) { taskScores($0, 3) }
    let model = try optimizer.model()
    let best = try #require(optimizer.highestFeasible)
    let function = try function(.expectedImprovement(xi: 0.01), optimizer)
    for x in [[0.1, 0.2], [0.5, 0.9], [0.99, 0.4]] {
      let moments = model.outputs.map { $0.surrogate.predict(x) }
      let mean = moments.reduce(0) { $0 + $1.mean } / 3
      var variance = 0.0
      for t in 0..<3 {
        for u in 0..<3 {
          variance +=
            model.correlation.matrix[3 * t + u] * moments[t].deviation * moments[u].deviation / 9
        }
      }
      let sd = variance.squareRoot()
      let gain = mean - best - 0.01
      let exact = gain * Normal.distribution(gain / sd) + sd * Normal.density(gain / sd)
      expectClose(function.value(x), exact, relative: 1e-7, floor: 1e-12)
      let found = try optimizer.predict(x)
      expectClose(found.mean, mean, relative: 1e-12)
      expectClose(found.sd, sd, relative: 1e-9)
    }
  }

  @Test func floors_multiplyByTheProbabilityOfKeepingThem() throws {
    let optimizer = try toldOptimizer(objective(.mean, 3), modelling: .tasks) { taskScores($0, 3) }
    let model = try optimizer.model()
    let roles = model.roles.enumerated().map { index, role in
      ObjectiveModel.Role(
        output: role.output, weight: role.weight, floor: [-50, 0.3, nil][index])
    }
    let floored = ObjectiveModel(
      .linear, roles: roles, observations: model.observations, isSelectable: model.isSelectable)
    let random = CounterRandom(seed: 1, stream: 1)
    let kind = OptimizerOptions.Acquisition.expectedImprovement(xi: 0)
    let plain = try AcquisitionFunction(kind, model: model, highest: 0.7, random: random)
    let constrained = try AcquisitionFunction(kind, model: floored, highest: 0.7, random: random)
    for x in [[0.1, 0.2], [0.4, 0.6], [0.9, 0.5]] {
      let (mean, sd) = model.outputs[1].surrogate.predict(x)
      expectClose(
        constrained.value(x), plain.value(x) * Normal.distribution((mean - 0.3) / sd),
        relative: 1e-9)
    }
  }

  @Test func whileNothingIsFeasible_feasibilityIsSought() throws {
    // The floor is met near one corner only, where the other task is worst.
    let target = try Objective(tasks: ["a", "b"], floors: ["b": 0.9])
    func scores(_ x: [Double]) -> [Double] {
      [2 - x[0] - x[1], 1 - 0.3 * ((1 - x[0]) * (1 - x[0]) + (1 - x[1]) * (1 - x[1]))]
    }
    for modelling in OptimizerOptions.Modelling.allCases {
      let optimizer = try toldOptimizer(target, modelling: modelling, trials: 5) { x in
        scores(x.map { 0.4 * $0 })
      }
      #expect(optimizer.highestFeasible == nil)
      let isFeasible = try optimizer.best().isFeasible
      #expect(!isFeasible)
      #expect(try optimizer.improvementLeft() == .infinity)
      let function = try function(.logExpectedImprovement(xi: 0), optimizer)
      let output = try #require(try optimizer.model().outputs.first { $0.name == "task b" })
      let (mean, sd) = output.surrogate.predict([0.8, 0.9])
      expectClose(
        function.value([0.8, 0.9]), Normal.logDistribution((mean - 0.9) / sd).value,
        relative: 1e-9)
    }
    var options = OptimizerOptions.default
    options.initial = 4
    options.modelling = .tasks
    let optimizer = try Optimizer(dimension: 2, objective: target, options: options)
    for _ in 0..<9 {
      // Two at a time: constraints with one pending.
      for suggestion in try optimizer.ask(2) {
        try optimizer.tell(suggestion.number, scores: Scores(scores(suggestion.point)))
      }
    }
    let best = try optimizer.best(by: .observed)
    // On the floor's circle of radius √(1/3) around (1, 1), the point nearest the origin: 0.858.
    #expect(best.isFeasible && best.value > 0.84)
  }

  @Test func logDistribution_isAccurateInBothTails() {
    // Reference values from a computation with 30 digits.
    for (z, expected) in [
      (-30.0, -454.321_243_956_343_2), (-10, -53.231_285_150_512_47),
      (-5, -15.064_998_393_988_725), (-1, -1.841_021_645_009_264),
      (0, -0.693_147_180_559_945_3), (6, -9.865_876_455_243_757e-10),
    ] {
      expectClose(Normal.logDistribution(z).value, expected, relative: 1e-13)
    }
    for z in [-40.0, -6, -5.001, -4.999, -2, 0.5, 3] {
      let slope = centralDifferences(at: [z], step: 1e-5) {
        Normal.logDistribution($0[0]).value
      }
      expectClose(Normal.logDistribution(z).slope, slope[0], relative: 1e-6)
    }
    #expect(Normal.logDistribution(-1e300).value.isFinite)
  }
}

/// The optimum of aggregates that are not Gaussian is found within few trials.
@Suite struct AggregateQualityTests {
  @Test(arguments: [Objective.Aggregate.minimum, .geometric], [0, 1] as [UInt64])
  func optimum_isFoundWithin22Trials(
    aggregate: Objective.Aggregate, seed: UInt64
  ) throws {
    let target = try objective(aggregate, 3)
    var options = OptimizerOptions.default
    options.seed = seed
    options.initial = 6
    options.modelling = .tasks
    let optimizer = try Optimizer(dimension: 2, objective: target, options: options)
    for _ in 0..<22 {
      let suggestion = try optimizer.ask()
      try optimizer.tell(suggestion.number, scores: Scores(taskScores(suggestion.point, 3)))
    }
    var highest = -Double.infinity
    for i in 0...100 {
      for j in 0...100 {
        let scores = taskScores([Double(i) / 100, Double(j) / 100], 3)
        highest = max(highest, target.value(scores)?.value ?? 0)
      }
    }
    let found = try optimizer.best(by: .observed).value
    #expect(found > highest - 0.005, "\(found) of \(highest)")
  }
}
