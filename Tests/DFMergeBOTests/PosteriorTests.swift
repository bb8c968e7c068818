import DFMergeCore
import Testing

@testable import DFMergeBO

/// Shared data: n scattered points with smooth, quantised scores.
func scattered(
  _ n: Int, dimension d: Int, seed: UInt64 = 1, variance: Double? = nil
) -> Observations {
  var random = CounterRandom(seed: seed, stream: 77)
  let points = (0..<(n * d)).map { _ in random.uniform() }
  let values = (0..<n).map { i in
    let s = (0..<d).reduce(0.0) { $0 + scalarSin(3 * points[i * d + $1] + Double($1)) }
    return (600 * (0.6 + 0.1 * s)).rounded() / 600
  }
  return Observations(
    dimension: d, points: points, values: values, variances: values.map { _ in variance })
}

@Suite struct PosteriorTests {
  private func covariance(_ x: [Double], _ z: [Double], _ l: [Double], _ s2: Double) -> Double {
    var r2 = 0.0
    for k in x.indices { r2 += (x[k] - z[k]) * (x[k] - z[k]) / (l[k] * l[k]) }
    let r = r2.squareRoot()
    let root5 = 5.0.squareRoot()
    return s2 * (1 + root5 * r + 5 * r2 / 3) * scalarExp(-root5 * r)
  }

  @Test(arguments: [1, 2, 5, 12])
  func meanAndVariance_matchADenseComputation(d: Int) throws {
    let n = 15
    let data = scattered(n, dimension: d)
    let l = (0..<d).map { 0.3 + 0.1 * Double($0) }
    let noise = (0..<n).map { 1e-3 * Double(1 + $0 % 4) }
    let kernel = Matern52(lengthScales: l, amplitude: 1.7)
    let c = 0.4
    let factor = try Posterior.factor(kernel: kernel, points: data.points, noise: noise)
    let posterior = Posterior(
      kernel: kernel, points: data.points, constant: c, factor: factor, targets: data.values,
      samples: 1)
    var matrix = (0..<n).map { i in
      (0..<n).map { j in covariance(data.point(i), data.point(j), l, 1.7) }
    }
    for i in 0..<n { matrix[i][i] += noise[i] }
    let weights = solve(matrix, data.values.map { $0 - c })
    var random = CounterRandom(seed: 5, stream: 5)
    for _ in 0..<6 {
      let x = (0..<d).map { _ in random.uniform() }
      let k = (0..<n).map { covariance(x, data.point($0), l, 1.7) }
      let mean = c + zip(k, weights).reduce(0) { $0 + $1.0 * $1.1 }
      let variance = 1.7 - zip(k, solve(matrix, k)).reduce(0) { $0 + $1.0 * $1.1 }
      let found = posterior.predict(x)
      expectClose(found.mean, mean, relative: 1e-10)
      expectClose(found.deviation * found.deviation, variance, relative: 1e-8, floor: 1e-3)
    }
  }

  @Test func oneTrial_hasTheClosedForm() throws {
    let kernel = Matern52(lengthScales: [0.5], amplitude: 2)
    let factor = try Posterior.factor(kernel: kernel, points: [0.2], noise: [0.1])
    let posterior = Posterior(
      kernel: kernel, points: [0.2], constant: 0, factor: factor, targets: [1.5], samples: 1)
    let k = covariance([0.6], [0.2], [0.5], 2)
    let found = posterior.predict([0.6])
    expectClose(found.mean, k / 2.1 * 1.5, relative: 1e-14)
    expectClose(found.deviation * found.deviation, 2 - k * k / 2.1, relative: 1e-13)
  }

  @Test func believing_keepsTheMeanAndLowersTheVariance() throws {
    let surrogate = try HierarchicalModel(scattered(12, dimension: 2)).fit(
      random: CounterRandom(seed: 0, stream: 0))
    let pending = [[0.9, 0.1], [0.05, 0.6]]
    let believing = try surrogate.believing(pending)
    for x in pending + [[0.4, 0.4], [0.88, 0.2]] {
      expectClose(believing.predict(x).mean, surrogate.predict(x).mean, relative: 1e-6)
      #expect(believing.predict(x).deviation < surrogate.predict(x).deviation)
    }
    #expect(try surrogate.believing([]).observations.count == 12)
  }
}

@Suite struct LikelihoodTests {
  @Test(arguments: [1, 3, 6])
  func gradients_matchCentralDifferences(d: Int) {
    let data = scattered(14, dimension: d)
    let z = Standardisation(data.values, clipped: false).standardised
    for isotropic in [false, true] {
      let likelihood = MarginalLikelihood(
        points: data.points, dimension: d, y: z, isotropic: isotropic,
        fixedNoise: z.indices.map { $0 % 3 == 0 ? 0.01 : 1e-6 },
        learned: z.indices.map { $0 % 3 > 0 },
        constantVariance: isotropic ? 0 : 4)
      let q = likelihood.scales
      let theta = (0..<q).map { -0.8 + 0.2 * Double($0) } + [0.3, -3.0]
      func value(_ t: [Double]) -> Double {
        likelihood.evaluate(
          logScales: t[..<q], amplitude: scalarExp(t[q]), noise: scalarExp(t[q + 1])
        ).value
      }
      let found = likelihood.evaluate(
        logScales: theta[..<q], amplitude: scalarExp(theta[q]), noise: scalarExp(theta[q + 1]))
      let expected = centralDifferences(at: theta, value)
      let analytic = found.scaleGradient + [found.amplitudeGradient, found.noiseGradient]
      for (a, b) in zip(analytic, expected) { expectClose(a, b, relative: 1e-6, floor: 1) }
    }
  }

  @Test func posteriorOfTheHyperparameters_gradientMatches() {
    let model = HierarchicalModel(scattered(14, dimension: 4))
    let theta = [-1.2, -0.3, 0.4, -0.8, 0.5, -3.5]
    var gradient = [Double](repeating: 0, count: 6)
    _ = model.objective(theta, &gradient)
    let expected = centralDifferences(at: theta) { t in
      var unused = gradient
      return model.objective(t, &unused)
    }
    for (a, b) in zip(gradient, expected) { expectClose(a, b, relative: 1e-6, floor: 1) }
  }

  @Test func prior_isTheHierarchicalNormal() {
    // Between two θ that differ in the scales alone and give the same likelihood (one trial: the
    // scales do not matter), the objective differs by the prior's quadratic form.
    let model = HierarchicalModel(
      Observations(dimension: 3, points: [0.5, 0.5, 0.5], values: [1], variances: [nil]))
    var unused = [Double](repeating: 0, count: 5)
    let centre = scalarLog(0.4) + 0.35 * scalarLog(3)
    let base = model.objective([centre, centre, centre, 0, -4], &unused)
    // Shared shift t: t² 3 / (2 (b² + 3 a²)); opposite shifts ±t of two: t² / b².
    let shared = model.objective([centre + 1, centre + 1, centre + 1, 0, -4], &unused)
    expectClose(shared - base, 1.5 / (0.09 + 3 * 0.49), relative: 1e-9)
    let apart = model.objective([centre + 1, centre - 1, centre, 0, -4], &unused)
    expectClose(apart - base, 1 / 0.09, relative: 1e-9)
  }

  @Test func givenVariances_takeThePlaceOfLearnedNoise() throws {
    let exact = try HierarchicalModel(scattered(20, dimension: 2, variance: 0)).fit(
      random: CounterRandom(seed: 0, stream: 0))
    let vague = try HierarchicalModel(scattered(20, dimension: 2, variance: 0.01)).fit(
      random: CounterRandom(seed: 0, stream: 0))
    let scale = exact.standardisation.scale
    #expect(exact.noise.allSatisfy { $0 == HierarchicalModel.smallestNoise })
    for noise in vague.noise { expectClose(noise, 0.01 / (scale * scale), relative: 1e-12) }
    // Exact scores are interpolated; vague ones are smoothed over.
    let data = scattered(20, dimension: 2)
    var missed = 0.0
    for i in 0..<20 {
      expectClose(exact.predict(data.point(i)).mean, data.values[i], relative: 1e-4)
      missed = max(missed, abs(vague.predict(data.point(i)).mean - data.values[i]))
    }
    #expect(missed > 0.01)
  }

  @Test func idleDimension_getsTheLongerScale() throws {
    var random = CounterRandom(seed: 3, stream: 3)
    let points = (0..<80).map { _ in random.uniform() }
    let values = (0..<40).map { scalarSin(6 * points[2 * $0]) }
    let fitted = try HierarchicalModel(
      Observations(
        dimension: 2, points: points, values: values, variances: values.map { _ in nil })
    ).fit(random: CounterRandom(seed: 0, stream: 0))
    #expect(fitted.kernel.lengthScales[1] > 1.5 * fitted.kernel.lengthScales[0])
  }
}

@Suite struct StandardisationTests {
  @Test func zeroMeanUnitSpread_atAnyMagnitude() {
    let base = [0.3, 0.9, -0.4, 0.55, 0.2]
    let reference = Standardisation(base, clipped: false)
    for magnitude in [0x1p-1060, 1e-300, 1e-12, 1, 1e12, 1e300] {
      let scaled = Standardisation(base.map { $0 * magnitude }, clipped: false)
      for (a, b) in zip(scaled.standardised, reference.standardised) {
        // Denormal scores have few digits of their own.
        expectClose(a, b, relative: magnitude < 1e-308 ? 1e-3 : 1e-12, floor: 1)
      }
      #expect(scaled.scale > 0 && scaled.scale.isFinite)
    }
    let z = reference.standardised
    #expect(abs(z.reduce(0, +)) < 1e-14)
    expectClose(z.reduce(0) { $0 + $1 * $1 }, 5, relative: 1e-14)
    let opposite = Standardisation([1.7e308, -1.7e308], clipped: true)
    #expect(opposite.standardised == [1, -1])
  }

  @Test func equalScores_haveScaleOne() {
    for value in [0, 0.1, -1e300, Double.leastNonzeroMagnitude] {
      let flat = Standardisation([value, value, value], clipped: true)
      #expect(flat.scale == 1 && flat.shift == value && flat.standardised == [0, 0, 0])
    }
    #expect(Standardisation([], clipped: true).scale == 1)
  }

  @Test func collapsedScores_areClipped_othersNot() {
    // Median 0.5, best 0.7: floor 0.3. The collapsed 0.01 and 0.02 count alike.
    let clipped = Standardisation([0.01, 0.6, 0.5, 0.45, 0.7, 0.02, 0.55], clipped: true)
    #expect(clipped.standardised[0] == clipped.standardised[5])
    expectClose(clipped.score(clipped.standardised[0]), 0.3, relative: 1e-12)
    expectClose(clipped.score(clipped.standardised[3]), 0.45, relative: 1e-12)
    // Where most trials share the best score there is no scale to clip by.
    let saturated = Standardisation([1, 1, 1, 0.2], clipped: true)
    expectClose(saturated.score(saturated.standardised[3]), 0.2, relative: 1e-12)
  }
}
