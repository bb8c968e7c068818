import DFMergeCore
import Glibc

// The default model: maximum a posteriori of an ARD Matern-5/2 process.
//
// Glossary:  d: dimensions   l [d]: length-scales   s²: amplitude   ν: noise variance
// (standardised)
//   ln l_k = μ + shared + own_k,  shared ~ N(0, a²),  own_k ~ N(0, b²),  μ = ln(m d^p)
//     so that Cov(ln l) = a² 1 1ᵀ + b² I: one scale for all unless the data insist (a > b). With
//     20 to 60 trials that is nearly as stiff as one isotropic scale, and still finds an idle
//     dimension.
//   ln s² ~ N(0, 0.5²)    ln ν ~ N(-4, 1)    c ~ N(0, 2²), found in closed form
// The prior's inverse covariance is closed too: (I - a²/(b² + d a²) 1 1ᵀ) / b².
// Where the host gives a trial's variance, that variance stands in the diagonal instead of ν; the
// floor that a score's steps set stands below ν.
// With input warping also ln a_k, ln b_k ~ N(0, 0.5²), see Warping; θ has them at its end.
// Constants from our own measurements on 18 functions at 60 evaluations; d^0.35 lies between no
// growth and the d^0.5 of Hvarfner, Hellsten and Nardi 2024, "Vanilla Bayesian optimization
// performs great in high dimensions".
struct HierarchicalModel {
  static let medianScale = 0.4
  static let dimensionPower = 0.35
  static let sharedDeviation = 0.7
  static let ownDeviation = 0.3
  static let amplitudeDeviation = 0.5
  static let noiseMedianLog = -4.0
  static let noiseDeviation = 1.0
  static let constantVariance = 4.0
  static let warpingDeviation = 0.5

  /// Box of the search: a scale below 0.05 is white noise at 60 trials, one above 200 is a
  /// constant.
  static let scaleBounds = (lower: 0.05, upper: 200.0)
  static let amplitudeBounds = (lower: 0.05, upper: 20.0)
  static let noiseBounds = (lower: 1e-6, upper: 1.0)
  static let warpingBounds = (lower: -2.0, upper: 2.0)
  /// A host's variance below this is taken as this: scores that claim to be exact would make K
  /// singular.
  static let smallestNoise = 1e-6
  /// A host's variance above this says that the trial says nothing; larger numbers add only
  /// rounding.
  static let largestNoise = 1e6

  /// Hyper-parameters come from at most this many trials, the best half and the latest: the fit
  /// costs n³ per step, and past this number its answer hardly moves. All trials condition the
  /// posterior.
  static let fitLimit = 200

  let observations: Observations
  let standardisation: Standardisation
  private let fixedNoise: [Double]
  private let learned: [Bool]
  private let priorCentre: Double
  private let likelihood: MarginalLikelihood
  private let isWarped: Bool

  /// - Parameters:
  ///   - clipped: whether collapsed scores are clipped; see ``Standardisation``.
  ///   - isWarped: whether a ``Warping`` is fitted as well.
  init(_ observations: Observations, clipped: Bool = true, isWarped: Bool = false) {
    self.observations = observations
    self.isWarped = isWarped
    let standardisation = Standardisation(observations.values, clipped: clipped)
    self.standardisation = standardisation
    fixedNoise = observations.variances.indices.map { i in
      let variance = observations.variances[i]
      let floor = observations.floors.indices.contains(i) ? observations.floors[i] : 0
      let scaled = (variance ?? floor) / standardisation.scale / standardisation.scale
      let smallest =
        variance == nil
        ? HierarchicalModel.floorOfLearnedNoise : HierarchicalModel.smallestNoise
      return min(max(scaled, smallest), HierarchicalModel.largestNoise)
    }
    learned = observations.variances.map { $0 == nil }
    let d = observations.dimension
    priorCentre =
      log(HierarchicalModel.medianScale) + HierarchicalModel.dimensionPower * log(Double(d))
    let chosen = HierarchicalModel.subset(standardisation.standardised)
    let (fixed, free) = (fixedNoise, learned)
    likelihood = MarginalLikelihood(
      points: chosen.flatMap { observations.point($0) }, dimension: d,
      y: chosen.map { standardisation.standardised[$0] }, isotropic: false,
      fixedNoise: chosen.map { fixed[$0] }, learned: chosen.map { free[$0] },
      constantVariance: HierarchicalModel.constantVariance, isWarped: isWarped)
  }

  /// Hyper-parameters of the warping, at the end of θ.
  private var warpingCount: Int { isWarped ? 2 * observations.dimension : 0 }

  private func warping(_ theta: [Double]) -> Warping? {
    guard isWarped else { return nil }
    let d = observations.dimension
    return Warping(
      first: theta[(d + 2)..<(2 * d + 2)].map { exp($0) },
      second: theta[(2 * d + 2)...].map { exp($0) })
  }

  /// Added under the learned noise, so that duplicated points leave K invertible.
  private static let floorOfLearnedNoise = 1e-8

  /// The maximum a posteriori, as a surrogate. Pure function of the observations and `random`.
  func fit(random: CounterRandom) throws(DFMergeError) -> Surrogate {
    let found = maximise(random: random)
    let d = observations.dimension
    let theta = found.x
    let amplitude = exp(theta[d])
    let noise = exp(theta[d + 1])
    let constant = likelihood.evaluate(
      logScales: theta[..<d], amplitude: amplitude, noise: noise, warping: warping(theta)
    ).constant
    let diagonal = zip(fixedNoise, learned).map { $0 + ($1 ? noise : 0) }
    return try Surrogate(
      observations: observations, standardisation: standardisation,
      targets: standardisation.standardised,
      kernel: Matern52(
        lengthScales: theta[..<d].map { exp($0) }, amplitude: amplitude, warping: warping(theta)),
      noise: diagonal, typicalNoise: diagonal.reduce(0, +) / Double(max(diagonal.count, 1)),
      constant: constant)
  }

  /// Starts that are polished, of ``candidateStarts``: the posterior has few modes (long scales
  /// with noise, short scales without), and a start in each basin is what matters.
  static let polishedStarts = 2
  static let candidateStarts = 6

  private func maximise(random: CounterRandom) -> BoundedLBFGS.Minimum {
    let d = observations.dimension
    let lower =
      [Double](repeating: log(HierarchicalModel.scaleBounds.lower), count: d)
      + [log(HierarchicalModel.amplitudeBounds.lower), log(HierarchicalModel.noiseBounds.lower)]
      + [Double](repeating: HierarchicalModel.warpingBounds.lower, count: warpingCount)
    let upper =
      [Double](repeating: log(HierarchicalModel.scaleBounds.upper), count: d)
      + [log(HierarchicalModel.amplitudeBounds.upper), log(HierarchicalModel.noiseBounds.upper)]
      + [Double](repeating: HierarchicalModel.warpingBounds.upper, count: warpingCount)
    var search = BoundedLBFGS()
    search.maximumIterations = 50
    search.valueTolerance = 1e-6
    search.gradientTolerance = 1e-3

    var gradient = [Double](repeating: 0, count: d + 2 + warpingCount)
    var ranked = starts(random).map { (start: $0, value: objective($0, &gradient)) }
    // The prior's mode is always polished; of the others the best.
    let first = ranked.removeFirst()
    ranked.sort { $0.value < $1.value }
    var best: BoundedLBFGS.Minimum?
    for (start, _) in [first] + ranked.prefix(HierarchicalModel.polishedStarts - 1) {
      let found = search.minimise(from: start, lower: lower, upper: upper) { x, gradient in
        objective(x, &gradient)
      }
      if best.map({ found.value < $0.value }) ?? true { best = found }
    }
    return best
      ?? BoundedLBFGS.Minimum(x: first.start, value: first.value, iterations: 0, evaluations: 0)
  }

  /// The prior's mode; then short scales without noise, long scales with noise, and random draws.
  private func starts(_ random: CounterRandom) -> [[Double]] {
    let d = observations.dimension
    let straight = [Double](repeating: 0, count: warpingCount)
    func start(_ shift: Double, _ noise: Double) -> [Double] {
      [Double](repeating: priorCentre + shift, count: d) + [0, noise] + straight
    }
    var starts = [
      start(0, HierarchicalModel.noiseMedianLog), start(-0.7, -7), start(0.7, -2),
    ]
    var random = random
    while starts.count < HierarchicalModel.candidateStarts {
      let shared = HierarchicalModel.sharedDeviation * SpaceFilling.normal(&random)
      let scales = (0..<d).map { _ in
        priorCentre + shared + 2 * HierarchicalModel.ownDeviation * SpaceFilling.normal(&random)
      }
      starts.append(scales + [0, -7 + 6 * random.uniform()] + straight)
    }
    return starts
  }

  /// -ln posterior of θ = (ln l [d], ln s², ln ν; ln a [d], ln b [d]) and its gradient.
  func objective(_ theta: [Double], _ gradient: inout [Double]) -> Double {
    let d = observations.dimension
    let evaluation = likelihood.evaluate(
      logScales: theta[..<d], amplitude: exp(theta[d]), noise: exp(theta[d + 1]),
      warping: warping(theta))
    var value = evaluation.value
    let a2 = HierarchicalModel.sharedDeviation * HierarchicalModel.sharedDeviation
    let b2 = HierarchicalModel.ownDeviation * HierarchicalModel.ownDeviation
    var total = 0.0
    for k in 0..<d { total += theta[k] - priorCentre }
    let common = a2 / (b2 + Double(d) * a2) * total
    for k in 0..<d {
      let u = theta[k] - priorCentre
      let q = (u - common) / b2
      value += 0.5 * u * q
      gradient[k] = evaluation.scaleGradient[k] + q
    }
    let s = theta[d] / HierarchicalModel.amplitudeDeviation
    value += 0.5 * s * s
    gradient[d] = evaluation.amplitudeGradient + s / HierarchicalModel.amplitudeDeviation
    let v = (theta[d + 1] - HierarchicalModel.noiseMedianLog) / HierarchicalModel.noiseDeviation
    value += 0.5 * v * v
    gradient[d + 1] = evaluation.noiseGradient + v / HierarchicalModel.noiseDeviation
    for k in 0..<warpingCount {
      let w = theta[d + 2 + k] / HierarchicalModel.warpingDeviation
      value += 0.5 * w * w
      gradient[d + 2 + k] = evaluation.warpingGradient[k] + w / HierarchicalModel.warpingDeviation
    }
    return value
  }

  /// Which trials the hyper-parameters are fitted to, in order of trial number.
  private static func subset(_ z: [Double]) -> [Int] {
    guard z.count > fitLimit else { return Array(z.indices) }
    let ranked = z.indices.sorted { (-z[$0], $0) < (-z[$1], $1) }
    let best = Set(ranked.prefix(fitLimit / 2))
    let latest = z.indices.reversed().filter { !best.contains($0) }.prefix(fitLimit - fitLimit / 2)
    return (Array(best) + latest).sorted()
  }
}
