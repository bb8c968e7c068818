import DFMergeCore
import Testing

@testable import DFMergeBO

/// Values of scikit-learn 1.3 and bayesian-optimization 2.0.3, run for the specification: eight
/// points x = k/7 with y = 0.7 + 0.1 sin(3x), one dimension.
@Suite struct PaperGoldenTests {
  private let observations: Observations
  private let standardisation: Standardisation

  init() {
    let x = (0..<8).map { Double($0) / 7 }
    let y = x.map { 0.7 + 0.1 * scalarSin(3 * $0) }
    observations = Observations(
      dimension: 1, points: x, values: y, variances: y.map { _ in nil })
    standardisation = Standardisation(y, clipped: false)
  }

  @Test func standardisation_matches() {
    expectClose(standardisation.shift, 0.7580323268527757, relative: 1e-15)
    expectClose(standardisation.scale, 0.034796651033739516, relative: 1e-14)
  }

  @Test func logMarginalLikelihood_andDerivative_match() {
    let likelihood = IsotropicModel.likelihood(observations, standardisation.standardised)
    let golden: [(l: Double, value: Double, slope: Double)] = [
      (0.1, -10.33301968, 2.09187), (0.5, -8.17234623, -8.68583), (1.0, -36.00500610, -102.15954),
    ]
    for (l, value, slope) in golden {
      let found = likelihood.evaluate(logScales: [scalarLog(l)], amplitude: 1, noise: 0)
      #expect(abs(-found.value - value) < 6e-9, "LML(\(l)) = \(-found.value)")
      #expect(abs(-found.scaleGradient[0] - slope) < 6e-6, "\(-found.scaleGradient[0])")
    }
  }

  @Test(arguments: [0, 42, 4_294_967_295] as [UInt32])
  func fittedLengthScale_matches(seed: UInt32) throws {
    let fitted = try IsotropicModel.fit(observations, seed: seed, fitNumber: 0)
    // The original stops L-BFGS-B at its own tolerance, hence six digits rather than eight.
    expectClose(fitted.kernel.lengthScales[0], 0.35832264, relative: 1e-6)
    let likelihood = IsotropicModel.likelihood(observations, standardisation.standardised)
    let value = likelihood.evaluate(
      logScales: [scalarLog(fitted.kernel.lengthScales[0])], amplitude: 1, noise: 0)
    #expect(abs(-value.value + 6.9607326) < 6e-8)
  }

  @Test func predictionsAndAcquisitions_match() throws {
    let surrogate = try IsotropicModel.surrogate(
      observations, standardisation, lengthScale: 0.5)
    let confidence = try AcquisitionFunction(
      .upperConfidenceBound(kappa: 2.576), surrogate: surrogate, highest: 0,
      random: CounterRandom(seed: 0, stream: 0))
    let golden: [(x: Double, mean: Double, deviation: Double, bound: Double)] = [
      (0.05, 0.71391872, 8.6196e-4, 0.71613912), (0.37, 0.78941477, 6.3388e-4, 0.79104765),
      (0.93, 0.73346629, 8.9361e-4, 0.73576822), (1.3, 0.68386559, 1.716432e-2, 0.72808088),
    ]
    for (x, mean, deviation, bound) in golden {
      let found = surrogate.predict([x])
      #expect(abs(found.mean - mean) < 6e-9, "mean(\(x)) = \(found.mean)")
      #expect(abs(found.deviation - deviation) < 6e-9, "sd(\(x)) = \(found.deviation)")
      #expect(abs(confidence.value([x]) - bound) < 6e-9, "UCB(\(x))")
    }
    let highest = observations.values.max() ?? 0
    expectClose(highest, 0.7989723048859821, relative: 1e-15)
    let improvement = try AcquisitionFunction(
      .expectedImprovement(xi: 0.01), surrogate: surrogate, highest: highest,
      random: CounterRandom(seed: 0, stream: 0))
    expectClose(improvement.value([1.3]), 3.55598619e-16, relative: 2e-8)
  }

  @Test func initialPoints_areNumpys() throws {
    var options = OptimizerOptions.paper
    options.seed = 42
    let optimizer = try Optimizer(dimension: 6, options: options)
    let first = try optimizer.ask()
    let expected = [0.37454012, 0.95071431, 0.73199394, 0.59865848, 0.15601864, 0.15599452]
    for (found, golden) in zip(first.point, expected) { #expect(abs(found - golden) < 5e-9) }
    #expect(first.origin == .initial)
    let second = try optimizer.ask()
    #expect(second.point == MersenneTwister.uniforms(seed: 42, from: 6, count: 6))
  }

  @Test func restarts_continueTheOriginalsStream() throws {
    // Fit number 3 uses doubles 15 ... 19; the result is the same optimum, whatever the starts.
    let early = try IsotropicModel.fit(observations, seed: 7, fitNumber: 0)
    let late = try IsotropicModel.fit(observations, seed: 7, fitNumber: 3)
    expectClose(
      late.kernel.lengthScales[0], early.kernel.lengthScales[0], relative: 1e-5)
  }
}
