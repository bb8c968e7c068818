import DFMergeCore
import Glibc

// The paper's model: what scikit-learn's regressor does inside bayesian-optimization 2.0.x.
//
//   k(r) = Matern-5/2 with ONE length-scale l in [1e-5, 1e5], no amplitude, no learned noise
//   K = k(X, X) + 1e-6 I in standardised units; scores to mean 0 and population deviation 1
//   l maximises the marginal likelihood: L-BFGS over ln l from ln l = 0 and five uniform starts
// The five starts are those the original draws: doubles 5t ... 5t + 4 of MT19937(seed) for the fit
// number t = n - initial. Variances that the host gives are ignored, as the original has none.
enum IsotropicModel {
  /// scikit-learn's `alpha` as bayesian-optimization sets it.
  static let noise = 1e-6
  static let logBounds = (lower: -5 * 2.302585092994046, upper: 5 * 2.302585092994046)
  static let restarts = 5

  static func fit(
    _ observations: Observations, seed: UInt32, fitNumber: Int
  ) throws(DFMergeError) -> Surrogate {
    let standardisation = Standardisation(observations.values, clipped: false)
    let (lower, upper) = logBounds
    let draws = MersenneTwister.uniforms(
      seed: seed, from: restarts * max(fitNumber, 0), count: restarts)
    let starts = [0] + draws.map { lower + (upper - lower) * $0 }
    let best = maximise(observations, standardisation.standardised, starts: starts)
    return try surrogate(observations, standardisation, lengthScale: exp(best.logScale))
  }

  static func surrogate(
    _ observations: Observations, _ standardisation: Standardisation, lengthScale: Double
  ) throws(DFMergeError) -> Surrogate {
    try Surrogate(
      observations: observations, standardisation: standardisation,
      targets: standardisation.standardised,
      kernel: Matern52(
        lengthScales: [Double](repeating: lengthScale, count: observations.dimension),
        amplitude: 1),
      noise: [Double](repeating: noise, count: observations.count), typicalNoise: noise,
      constant: 0)
  }

  static func likelihood(_ observations: Observations, _ z: [Double]) -> MarginalLikelihood {
    MarginalLikelihood(
      points: observations.points, dimension: observations.dimension, y: z, isotropic: true,
      fixedNoise: [Double](repeating: noise, count: z.count),
      learned: [Bool](repeating: false, count: z.count), constantVariance: 0)
  }

  /// The best of the local maxima reached from the starts; the first wins a tie.
  static func maximise(
    _ observations: Observations, _ z: [Double], starts: [Double]
  ) -> (logScale: Double, logLikelihood: Double) {
    let likelihood = likelihood(observations, z)
    var best = (logScale: 0.0, logLikelihood: -Double.infinity)
    for start in starts {
      let found = BoundedLBFGS().minimise(
        from: [start], lower: [logBounds.lower], upper: [logBounds.upper]
      ) { x, gradient in
        let evaluation = likelihood.evaluate(logScales: x[...], amplitude: 1, noise: 0)
        gradient[0] = evaluation.scaleGradient[0]
        return evaluation.value
      }
      if -found.value > best.logLikelihood { best = (found.x[0], -found.value) }
    }
    return best
  }
}
