import DFMergeCore

// One modelled quantity, a task's score or the objective itself, conditioned on all that is known.
//
// Glossary:  points [D]: where something was told or is pending, one entry per trial
//   rows [N]: the point behind each observation of the posterior; two where a trial has a score
//   of both stages
struct Output {
  let name: String
  /// Hyper-parameters and units, from the full evaluations.
  let surrogate: Surrogate
  /// The process given everything, for one mean.
  let posterior: Posterior
  let rows: [Int]
  /// Posterior mean at the points, standardised [D].
  let means: [Double]
  /// Noise variance of an observation at the points, standardised [D].
  let noise: [Double]

  var standardisation: Standardisation { surrogate.standardisation }

  /// The process given full evaluations alone: every observation is a point.
  init(_ name: String, _ surrogate: Surrogate) {
    self.name = name
    self.surrogate = surrogate
    posterior = surrogate.posterior
    rows = Array(0..<surrogate.observations.count)
    means = surrogate.meansAtData
    noise = surrogate.noise
  }

  init(
    _ name: String, _ surrogate: Surrogate, posterior: Posterior, rows: [Int], means: [Double],
    noise: [Double]
  ) {
    self.name = name
    self.surrogate = surrogate
    self.posterior = posterior
    self.rows = rows
    self.means = means
    self.noise = noise
  }
}

extension Output {
  /// Added to the diagonals of the two covariances that the draws factor, as shares of the
  /// amplitude: drawn functions are conditioned on exactly, which leaves no noise to keep K
  /// regular.
  private static let conditioningJitter = 1e-6

  /// The process conditioned on each of `count` draws of itself at the points as if they had been
  /// seen without noise, and the draws [D, count], row-major. All share one covariance, hence one
  /// factor.
  ///
  /// - Parameter points: [D, d], row-major.
  func drawn(
    points: [Double], samples count: Int, random: CounterRandom
  ) throws(DFMergeError) -> (posterior: Posterior, draws: Scratch) {
    let kernel = surrogate.kernel
    let d = means.count
    let n = rows.count
    let jitter = Output.conditioningJitter * kernel.amplitude
    let prior = Posterior.covarianceMatrix(kernel: kernel, points: points, count: d)
    for i in 0..<d {
      for j in 0..<i { prior.pointer[j * d + i] = prior.pointer[i * d + j] }
    }
    defer { withExtendedLifetime(prior) {} }
    // c = K0 - vᵀ v with v = L⁻¹ k(observations, points): the posterior covariance at the points.
    let v = Scratch(n * d)
    let c = Scratch(d * d)
    defer { withExtendedLifetime((v, c)) {} }
    for i in 0..<n {
      for j in 0..<d { v.pointer[i * d + j] = prior.pointer[rows[i] * d + j] }
    }
    for i in 0..<(d * d) { c.pointer[i] = prior.pointer[i] }
    Dense.solveLower(posterior.factor.pointer, n, v.pointer, columns: d)
    for k in 0..<n {
      let row = v.pointer + k * d
      for i in 0..<d { Dense.addScaled(c.pointer + i * d, -row[i], row, i + 1) }
    }
    for i in 0..<d { c.pointer[i * d + i] += jitter }
    let root = try Posterior.factor(c, d, amplitude: kernel.amplitude)

    let normals = Scratch(SpaceFilling.normals(rows: d, columns: count, random: random))
    let draws = Scratch(d * count)
    defer { withExtendedLifetime((root, normals, draws)) {} }
    for i in 0..<d {
      let row = draws.pointer + i * count
      for s in 0..<count { row[s] = means[i] }
      for j in 0...i {
        Dense.addScaled(row, root.pointer[i * d + j], normals.pointer + j * count, count)
      }
    }
    for i in 0..<d { prior.pointer[i * d + i] += jitter }
    let factor = try Posterior.factor(prior, d, amplitude: kernel.amplitude)
    let posterior = Posterior(
      kernel: kernel, points: points, constant: surrogate.constant, factor: factor,
      targets: (0..<(d * count)).map { draws.pointer[$0] }, samples: count)
    return (posterior, draws)
  }
}
