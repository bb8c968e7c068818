import DFMergeCore

// An output given scores of both stages.
//
// Glossary:  n: full evaluations   a: scores of a first stage   p: pending points, D: all points
//   f: the function behind full scores   observations, in this order:
//     full      y_i = f(x_i) + ε_i                  ε ~ N(0, ν), one per trial
//     first     u_j = f(x_j) + ε_j + b + e(x_j)     e: see SubsetError; ε_j that of the same trial
//     pending   believed: the posterior mean given the above, with noise like a full score
// so that K holds k everywhere, ν where two observations are of one trial, and
// v ((1 - ω) R + ω I) among the first stages. The posterior is of f, hence k alone between x and
// every observation: a Posterior as any other, with the targets of the first stages less b.

/// Where the observations of a model lie.
struct ObservedPoints {
  /// [D, d], row-major: full evaluations, then trials that have a first stage alone, then pending.
  var points: [Double]
  var fullCount: Int
  var pendingCount: Int
  var isSelectable: [Bool]
  /// The point of each score of a first stage [a].
  var firstStages: [Int]

  var count: Int { isSelectable.count }
}

extension Output {
  /// - Parameters:
  ///   - surrogate: fitted to the full evaluations, in the order of `observed`.
  ///   - scores: of the first stages [a], in score units.
  ///   - share: what a first stage is of a full evaluation.
  init(
    _ name: String, _ surrogate: Surrogate, observed: ObservedPoints, scores: [Double],
    share: Double
  ) throws(DFMergeError) {
    let standardisation = surrogate.standardisation
    let d = surrogate.kernel.lengthScales.count
    func point(_ row: Int) -> ArraySlice<Double> { observed.points[(row * d)..<((row + 1) * d)] }
    // Collapsed scores were clipped in the fit and are clipped here.
    let lowest = standardisation.standardised.min() ?? 0
    let z = scores.map {
      max(($0 - standardisation.shift) / standardisation.scale, lowest)
    }
    let pairs = z.indices.filter { observed.firstStages[$0] < observed.fullCount }
    let error = SubsetError(
      kernel: surrogate.kernel, points: pairs.flatMap { point(observed.firstStages[$0]) },
      differences: pairs.map { z[$0] - surrogate.targets[observed.firstStages[$0]] },
      noise: surrogate.typicalNoise, share: share)

    var noise = surrogate.noise
    while noise.count < observed.count { noise.append(surrogate.typicalNoise) }
    var rows = Array(0..<observed.fullCount) + observed.firstStages
    var targets = surrogate.targets + z.map { $0 - error.bias }
    let firstStages = observed.fullCount..<rows.count
    func posterior() throws(DFMergeError) -> Posterior {
      let points = rows.flatMap { point($0) }
      let factor = try Output.factor(
        kernel: surrogate.kernel, points: points, rows: rows, noise: noise,
        firstStages: firstStages, error: error)
      return Posterior(
        kernel: surrogate.kernel, points: points, constant: surrogate.constant, factor: factor,
        targets: targets, samples: 1)
    }
    var known = try posterior()
    if observed.pendingCount > 0 {
      let pending = (observed.count - observed.pendingCount)..<observed.count
      targets += pending.map { known.predict(Array(point($0))).mean }
      rows += pending
      known = try posterior()
    }
    let means = (0..<observed.count).map { known.predict(Array(point($0))).mean }
    self.init(
      name, surrogate, posterior: known, rows: rows, means: means, noise: noise)
  }

  /// L of the covariance of all observations.
  private static func factor(
    kernel: Matern52, points: [Double], rows: [Int], noise: [Double], firstStages: Range<Int>,
    error: SubsetError
  ) throws(DFMergeError) -> Scratch {
    let n = rows.count
    let matrix = Posterior.covarianceMatrix(kernel: kernel, points: points, count: n)
    defer { withExtendedLifetime(matrix) {} }
    let smooth = error.variance * (1 - error.roughness) / kernel.amplitude
    for i in 0..<n {
      for j in 0...i {
        let k = matrix.pointer[i * n + j]
        if firstStages.contains(i), firstStages.contains(j) {
          matrix.pointer[i * n + j] += smooth * k
          if i == j { matrix.pointer[i * n + j] += error.variance * error.roughness }
        }
        if rows[i] == rows[j] { matrix.pointer[i * n + j] += noise[rows[i]] }
      }
    }
    return try Posterior.factor(matrix, n, amplitude: kernel.amplitude)
  }
}
