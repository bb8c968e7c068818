import DFMergeCore
import Testing

@testable import DFMergeBO

@Suite struct AcquisitionTests {
  private static let kinds: [OptimizerOptions.Acquisition] = [
    .expectedImprovement(xi: 0.01), .upperConfidenceBound(kappa: 2),
    .logExpectedImprovement(xi: 0), .logNoisyExpectedImprovement(samples: 16),
  ]

  private func function(
    _ kind: OptimizerOptions.Acquisition, _ data: Observations, seed: UInt64 = 0
  ) throws -> (AcquisitionFunction, Surrogate) {
    let surrogate = try HierarchicalModel(data).fit(random: CounterRandom(seed: 0, stream: 0))
    let function = try AcquisitionFunction(
      kind, surrogate: surrogate, highest: data.values.max() ?? 0,
      random: CounterRandom(seed: seed, stream: 4))
    return (function, surrogate)
  }

  @Test(arguments: kinds, [1, 3, 8])
  func gradients_matchCentralDifferences(
    kind: OptimizerOptions.Acquisition, d: Int
  ) throws {
    let (function, _) = try function(kind, scattered(16, dimension: d))
    var random = CounterRandom(seed: 8, stream: 8)
    for _ in 0..<5 {
      let x = (0..<d).map { _ in 0.05 + 0.9 * random.uniform() }
      var gradient = [Double](repeating: 9, count: d)
      let value = function.value(x, gradient: &gradient)
      #expect(value == function.value(x))
      let expected = centralDifferences(at: x, step: 1e-6) { function.value($0) }
      let size = expected.reduce(1e-9) { max($0, abs($1)) }
      for (a, b) in zip(gradient, expected) { expectClose(a, b, relative: 2e-4, floor: size) }
    }
  }

  @Test func forms_matchTheirDefinitions() throws {
    let data = scattered(16, dimension: 2)
    let (expected, surrogate) = try function(.expectedImprovement(xi: 0.01), data)
    let (bound, _) = try function(.upperConfidenceBound(kappa: 1.5), data)
    let (logarithm, _) = try function(.logExpectedImprovement(xi: 0.01), data)
    let highest = data.values.max() ?? 0
    let highestMean = surrogate.standardisation.score(surrogate.meansAtData.max() ?? 0)
    for x in [[0.1, 0.2], [0.5, 0.9], [0.99, 0.4]] {
      let (mean, sd) = surrogate.predict(x)
      func improvement(_ best: Double) -> Double {
        let a = mean - best - 0.01
        return a * Normal.distribution(a / sd) + sd * Normal.density(a / sd)
      }
      expectClose(expected.value(x), improvement(highest), relative: 1e-9)
      expectClose(bound.value(x), mean + 1.5 * sd, relative: 1e-12)
      expectClose(logarithm.value(x), scalarLog(improvement(highestMean)), relative: 1e-9)
    }
  }

  @Test func noisyImprovement_isTheMeanOverDraws_andApproachesTheExactForm() throws {
    // With exact scores noisy EI is EI of the best mean, to the last bit.
    let exact = scattered(16, dimension: 2, variance: 0)
    let (noisy, _) = try function(.logNoisyExpectedImprovement(samples: 32), exact)
    let (plain, _) = try function(.logExpectedImprovement(xi: 0), exact)
    #expect(noisy.value([0.3, 0.3]) == plain.value([0.3, 0.3]))

  }

  @Test func noisyImprovement_ofOneTrial_hasAClosedForm() throws {
    // With one noisy trial, f(x) - f(x1) is normal under the posterior, so that
    // E max(0, f(x) - f(x1)) = s h(Δ / s) with s² its variance and Δ its mean.
    let (amplitude, noise, constant, target) = (1.5, 0.4, 0.2, 1.0)
    let kernel = Matern52(lengthScales: [0.3], amplitude: amplitude)
    let data = Observations(dimension: 1, points: [0.4], values: [target], variances: [nil])
    let surrogate = try Surrogate(
      observations: data, standardisation: Standardisation([0], clipped: false),
      targets: [target], kernel: kernel, noise: [noise], typicalNoise: noise, constant: constant)
    let function = try AcquisitionFunction(
      .logNoisyExpectedImprovement(samples: 1024), surrogate: surrogate, highest: target,
      random: CounterRandom(seed: 1, stream: 4))
    let gain = 1 / (amplitude + noise)
    for x in [0.0, 0.2, 0.35, 0.5, 0.9] {
      let k = amplitude * Matern52.correlation((x - 0.4) * (x - 0.4) / 0.09).k
      let mean = (k - amplitude) * gain * (target - constant)
      let atTrial = amplitude - amplitude * amplitude * gain
      let atPoint = amplitude - k * k * gain
      let shared = k - k * amplitude * gain
      let s = (atTrial + atPoint - 2 * shared).squareRoot()
      let exact = scalarLog(s) + Normal.logImprovement(mean / s).value
      #expect(abs(function.value([x]) - exact) < 2e-3, "at \(x): \(function.value([x]))")
    }
  }

  @Test func logForm_stillPointsUphillWhereImprovementIsZero() throws {
    // A thousand deviations below the best, EI is 0 and its gradient too; the logarithm's is not.
    let data = Observations(
      dimension: 1, points: [0, 0.5, 0.55, 1], values: [0, 1, 1.001, 0],
      variances: [0, 0, 0, 0])
    let surrogate = try IsotropicModel.surrogate(
      data, Standardisation(data.values, clipped: false), lengthScale: 2)
    let random = CounterRandom(seed: 0, stream: 0)
    let plain = try AcquisitionFunction(
      .expectedImprovement(xi: 0), surrogate: surrogate, highest: 1.001, random: random)
    let logarithm = try AcquisitionFunction(
      .logExpectedImprovement(xi: 0), surrogate: surrogate, highest: 1.001, random: random)
    var gradient = [0.0]
    #expect(plain.value([0.02], gradient: &gradient) == 0)
    #expect(gradient == [0])
    #expect(logarithm.value([0.02], gradient: &gradient).isFinite)
    #expect(gradient[0] > 1)
  }

  @Test(arguments: [OptimizerOptions.Search.uniform, .incumbents])
  func search_beatsADenseGrid_andAvoidsKnownPoints(
    kind: OptimizerOptions.Search
  ) throws {
    let data = scattered(16, dimension: 2)
    let (function, surrogate) = try function(.logExpectedImprovement(xi: 0), data)
    let search = AcquisitionSearch(
      function: function, surrogate: surrogate, known: (0..<16).map { data.point($0) }, seed: 3,
      number: 16)
    let found = search.maximise(kind)
    var grid = -Double.infinity
    for i in 0...60 {
      for j in 0...60 { grid = max(grid, function.value([Double(i) / 60, Double(j) / 60])) }
    }
    #expect(function.value(found) >= grid - 1e-3)
    let avoiding = AcquisitionSearch(
      function: function, surrogate: surrogate, known: [found], seed: 3, number: 16)
    let other = avoiding.maximise(kind)
    #expect(zip(found, other).contains { abs($0 - $1) >= AcquisitionSearch.sameness })
  }
}
