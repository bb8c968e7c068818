import DFMergeCore
import Testing

@testable import DFMergeBO

/// The map itself, its place in the likelihood and the posterior, and what it is for.
@Suite struct WarpingTests {
  private let shapes = [(1.0, 1.0), (0.3, 2.5), (4, 0.4), (0.14, 0.14), (7.3, 7.3)]

  private func warping(_ a: Double, _ b: Double) -> Warping { Warping(first: [a], second: [b]) }

  @Test func unitShape_isTheIdentity() {
    for x in [0, 1e-300, 1e-9, 0.1, 0.25, 0.5, 0.75, 1 - 1e-12, 1] {
      expectClose(warping(1, 1).value(x, 0), x, relative: 1e-12)
      expectClose(warping(1, 1).slope(x, 0), 1, relative: 1e-12)
    }
  }

  @Test func value_isTheFormulaAndIncreases() {
    for (a, b) in shapes {
      let w = warping(a, b)
      #expect(w.value(0, 0) == 0 && w.value(1, 0) == 1)
      var last = 0.0
      for i in 1...400 {
        let x = Double(i) / 400
        let value = w.value(x, 0)
        // Where b is large the last steps to 1 are below the rounding of 1.
        #expect(value >= last && (value > last || value > 0.999999))
        let u = scalarExp(a * scalarLog(x))
        let expected = x == 1 ? 1 : 1 - scalarExp(b * scalarLog(1 - u))
        expectClose(value, expected, relative: 1e-10, floor: 1e-3)
        last = value
      }
    }
  }

  @Test func slopes_areThoseOfCentralDifferences() {
    for (a, b) in shapes {
      let w = warping(a, b)
      for x in [0.03, 0.2, 0.5, 0.8, 0.97] {
        let bySlope = centralDifferences(at: [x], step: 1e-6) { w.value($0[0], 0) }
        expectClose(w.slope(x, 0), bySlope[0], relative: 1e-5, floor: 1e-4)
        let byShape = centralDifferences(at: [scalarLog(a), scalarLog(b)], step: 1e-5) {
          warping(scalarExp($0[0]), scalarExp($0[1])).value(x, 0)
        }
        let found = w.shapeSlopes(x, 0)
        expectClose(found.first, byShape[0], relative: 1e-5, floor: 1e-4)
        expectClose(found.second, byShape[1], relative: 1e-5, floor: 1e-4)
      }
      for x: Double in [0, .leastNonzeroMagnitude, 1e-300, 1e-17, 1 - 0x1p-53, 1] {
        let found = w.shapeSlopes(x, 0)
        let slope = w.slope(x, 0)
        #expect((0...1).contains(w.value(x, 0)) && slope.isFinite && slope >= 0)
        #expect(found.first.isFinite && found.second.isFinite)
      }
    }
  }

  @Test(arguments: [1, 3])
  func posteriorOfTheHyperParameters_hasTheGradientOfCentralDifferences(d: Int) {
    let shared = scattered(14, dimension: d)
    // Points at the borders are common: incumbents sit there.
    let ends = [Double](repeating: 0, count: d) + [Double](repeating: 1, count: d)
    let points = ends + shared.points
    let data = Observations(
      dimension: d, points: points, values: [0.3, 0.45] + shared.values,
      variances: [nil, nil] + shared.variances)
    let model = HierarchicalModel(data, isWarped: true)
    var theta: [Double] = []
    for k in 0..<d { theta.append(-0.6 + 0.2 * Double(k)) }
    theta += [0.2, -3]
    for k in 0..<d { theta.append(0.3 - 0.4 * Double(k)) }
    for k in 0..<d { theta.append(-0.5 + 0.35 * Double(k)) }
    var gradient = [Double](repeating: 0, count: theta.count)
    _ = model.objective(theta, &gradient)
    var unused = gradient
    let expected = centralDifferences(at: theta, step: 1e-5) { model.objective($0, &unused) }
    for (found, expected) in zip(gradient, expected) {
      expectClose(found, expected, relative: 1e-5, floor: 0.1)
    }
  }

  @Test func unitShape_isTheModelWithoutWarping() {
    let data = scattered(15, dimension: 2)
    let theta = [-0.4, -0.9, 0.1, -3.5]
    var gradient = [Double](repeating: 0, count: 4)
    var longer = [Double](repeating: 0, count: 8)
    let plain = HierarchicalModel(data).objective(theta, &gradient)
    let warped = HierarchicalModel(data, isWarped: true).objective(theta + [0, 0, 0, 0], &longer)
    expectClose(warped, plain, relative: 1e-10)
    for (a, b) in zip(longer, gradient) { expectClose(a, b, relative: 1e-7, floor: 1) }
  }

  @Test func acquisition_followsTheWarping() throws {
    // One output alone, with draws, and the closed form.
    let data = scattered(16, dimension: 3)
    let surrogate = try HierarchicalModel(data, isWarped: true).fit(
      random: CounterRandom(seed: 2, stream: 0))
    #expect(surrogate.kernel.warping != nil)
    for kind in [
      OptimizerOptions.Acquisition.logExpectedImprovement(xi: 0),
      .logNoisyExpectedImprovement(samples: 8), .upperConfidenceBound(kappa: 2),
    ] {
      let function = try AcquisitionFunction(
        kind, surrogate: surrogate, highest: data.values.max() ?? 0,
        random: CounterRandom(seed: 4, stream: 4))
      for x in [[0.2, 0.5, 0.7], [0.9, 0.05, 0.4]] {
        var gradient = [Double](repeating: 0, count: 3)
        _ = function.value(x, gradient: &gradient)
        let expected = centralDifferences(at: x, step: 1e-6) { function.value($0) }
        for (found, expected) in zip(gradient, expected) {
          expectClose(found, expected, relative: 1e-4, floor: 0.01)
        }
      }
      for x in [[0.0, 0, 0], [1, 1, 1]] {
        var gradient = [Double](repeating: 0, count: 3)
        _ = function.value(x, gradient: &gradient)
        #expect(gradient.allSatisfy { $0.isFinite })
      }
    }
  }

  /// Smooth over the decades of x: a peak at 1/100 and a shoulder, nothing in the upper half.
  private func decades(_ x: [Double]) -> Double {
    let t = x.map { scalarLog($0 + 1e-3) / scalarLog(10) }
    return t.reduce(1) { $0 - 0.25 * ($1 + 2) * ($1 + 2) }
  }

  private func regret(seed: UInt64, isWarped: Bool) throws -> Double {
    var options = OptimizerOptions.default
    options.seed = seed
    options.inputWarping = isWarped
    let optimizer = try Optimizer(dimension: 2, options: options)
    var best = -Double.infinity
    var total = 0.0
    for _ in 0..<20 {
      let asked = try optimizer.ask()
      let score = decades(asked.point)
      best = max(best, score)
      total += 1 - best
      try optimizer.tell(asked.number, value: score)
    }
    return total / 20
  }

  @Test func scoresOverDecades_areFoundSoonerWithWarping() throws {
    var (plain, warped) = (0.0, 0.0)
    for seed in 0..<6 {
      plain += try regret(seed: UInt64(seed), isWarped: false) / 6
      warped += try regret(seed: UInt64(seed), isWarped: true) / 6
    }
    #expect(warped < plain, "\(warped), without \(plain)")
  }

  @Test func tasksFirstStagesAndWorkers_followTheWarping() throws {
    let objective = try Objective(tasks: ["a", "b"], aggregate: .minimum)
    var options = OptimizerOptions.default
    options.inputWarping = true
    options.subsetShare = 0.3
    options.initial = 5
    let optimizer = try Optimizer(dimension: 2, objective: objective, options: options)
    func scores(_ x: [Double], bias: Double = 0) -> Scores {
      Scores([decades(x) + bias, decades(x.reversed()) - 0.2 * x[0] + bias])
    }
    for _ in 0..<7 {
      for asked in try optimizer.ask(2) {
        if try optimizer.tellSubset(asked.number, scores: scores(asked.point, bias: -0.05)) {
          try optimizer.tell(asked.number, scores: scores(asked.point))
        }
      }
    }
    let model = try optimizer.model()
    #expect(model.outputs.count == 2)
    for output in model.outputs {
      let warping = try #require(output.posterior.kernel.warping)
      #expect(warping.first != [1, 1])
    }
    let resumed = try Optimizer(dimension: 2, objective: objective, options: options)
    for trial in optimizer.history { try resumed.record(trial) }
    let best = try optimizer.best()
    let same = try resumed.best()
    #expect(best.mean.isFinite && best.sd >= 0 && best.mean == same.mean)
    #expect(try resumed.ask() == optimizer.ask())
  }

  @Test func paperModel_refusesIt() {
    var options = OptimizerOptions.paper
    options.inputWarping = true
    let error = #expect(throws: DFMergeError.self) {
      _ = try Optimizer(dimension: 1, options: options)
    }
    #expect(error?.context["option"] == "input_warping")
  }
}
