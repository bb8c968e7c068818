import DFMergeCore
import Glibc

/// What the model is fitted to: points of the unit cube with scores, failed trials included.
struct Observations {
  let dimension: Int
  /// [n, d], row-major, in order of trial number.
  let points: [Double]
  /// Scores [n]; failed trials hold the lowest score of the others.
  let values: [Double]
  /// Noise variances in squared score units, nil where not given [n].
  let variances: [Double?]
  /// What the noise variance is at least where it is not given, in squared score units [n]; empty
  /// for nothing.
  var floors: [Double] = []

  var count: Int { values.count }

  func point(_ index: Int) -> [Double] {
    Array(points[(index * dimension)..<((index + 1) * dimension)])
  }
}

/// A fitted model of the score over the unit cube: posterior mean and deviation in score units.
///
/// The posterior works on standardised scores; this type holds the way back.
struct Surrogate {
  let observations: Observations
  let standardisation: Standardisation
  let kernel: Matern52
  /// Noise variance of each observation in standardised units [n].
  let noise: [Double]
  /// The noise variance that a further evaluation is expected to have, standardised.
  let typicalNoise: Double
  let constant: Double
  let posterior: Posterior
  /// Posterior mean at the observed points, standardised [n].
  let meansAtData: [Double]
  /// Standardised targets [n]; equal to the standardised scores, plus fantasies.
  let targets: [Double]

  init(
    observations: Observations, standardisation: Standardisation, targets: [Double],
    kernel: Matern52, noise: [Double], typicalNoise: Double, constant: Double
  ) throws(DFMergeError) {
    self.observations = observations
    self.standardisation = standardisation
    self.targets = targets
    self.kernel = kernel
    self.noise = noise
    self.typicalNoise = typicalNoise
    self.constant = constant
    let factor = try Posterior.factor(
      kernel: kernel, points: observations.points, noise: noise)
    posterior = Posterior(
      kernel: kernel, points: observations.points, constant: constant, factor: factor,
      targets: targets, samples: 1)
    var means: [Double] = []
    means.reserveCapacity(observations.count)
    for i in 0..<observations.count { means.append(posterior.predict(observations.point(i)).mean) }
    meansAtData = means
  }

  /// Posterior mean and deviation at x, in score units.
  func predict(_ x: [Double]) -> (mean: Double, deviation: Double) {
    let (mean, deviation) = posterior.predict(x)
    return (standardisation.score(mean), standardisation.scale * deviation)
  }

  /// The same model with further points whose scores are taken to be their posterior means.
  ///
  /// For trials that are asked and not yet told: the mean stays as it is, the variance near them
  /// falls, and the acquisition looks elsewhere ("kriging believer", Ginsbourger, Le Riche and
  /// Carraro 2010).
  func believing(_ pending: [[Double]]) throws(DFMergeError) -> Surrogate {
    guard !pending.isEmpty else { return self }
    let fantasies = pending.map { posterior.predict($0).mean }
    let extended = Observations(
      dimension: observations.dimension, points: observations.points + pending.flatMap { $0 },
      values: observations.values + fantasies.map { standardisation.score($0) },
      variances: observations.variances + pending.map { _ in nil })
    return try Surrogate(
      observations: extended, standardisation: standardisation, targets: targets + fantasies,
      kernel: kernel, noise: noise + pending.map { _ in typicalNoise },
      typicalNoise: typicalNoise, constant: constant)
  }
}
