import DFMergeCore
import Glibc

// Acquisition functions with gradients, in score units.
//
// Glossary:  m_s, σ: standardised posterior means [S] and deviation at x     scale: of the scores
//   best [S]: standardised best, one per mean     z_s = (m_s - best_s) / σ     h: see Normal
//   EI_s = scale σ h(z_s)       ln EI_s = ln scale + ln σ + ln h(z_s)
//   noisy EI = (1/S) Σ_s EI_s, its logarithm by the log-sum-exp of ln EI_s
//   ∂ ln EI_s = (h'/h)(z_s) (∂m_s - z_s ∂σ) / σ + ∂σ / σ
// Sources: Jones, Schonlau and Welch 1998 (EI); Srinivas et al. 2010 (UCB); Ament et al. 2023 (log
// forms); Letham et al. 2019, section 4 (noisy EI: the joint draws at the observed points).
final class AcquisitionFunction {
  private enum Form {
    case improvement
    case logImprovement
    case confidence(kappa: Double)
  }

  private let form: Form
  private let posterior: Posterior
  private let best: [Double]
  private let standardisation: Standardisation
  private let logScale: Double
  private let terms: Scratch
  private let meanWeights: Scratch

  /// Below this noise variance (standardised) the observed scores are as good as exact, and noisy
  /// EI is EI.
  static let negligibleNoise = 1e-5
  /// Added to the diagonals of the two covariances that noisy EI factors, as shares of the
  /// amplitude: drawn functions are conditioned on exactly, which leaves no noise to keep K
  /// regular.
  private static let conditioningJitter = 1e-6

  /// - Parameters:
  ///   - highest: the highest score observed, for EI.
  ///   - random: the draws of noisy EI.
  init(
    _ kind: OptimizerOptions.Acquisition, surrogate: Surrogate, highest: Double,
    random: CounterRandom
  ) throws(DFMergeError) {
    standardisation = surrogate.standardisation
    let scale = standardisation.scale
    logScale = log(scale)
    let highestMean = surrogate.meansAtData.max() ?? 0
    switch kind {
    case .expectedImprovement(let xi):
      form = .improvement
      posterior = surrogate.posterior
      best = [(highest - standardisation.shift + xi) / scale]
    case .logExpectedImprovement(let xi):
      form = .logImprovement
      posterior = surrogate.posterior
      best = [highestMean + xi / scale]
    case .upperConfidenceBound(let kappa):
      form = .confidence(kappa: kappa)
      posterior = surrogate.posterior
      best = [0]
    case .logNoisyExpectedImprovement(let samples):
      form = .logImprovement
      let noisiest = surrogate.noise.max() ?? 0
      if noisiest <= AcquisitionFunction.negligibleNoise || samples < 2 {
        posterior = surrogate.posterior
        best = [highestMean]
      } else {
        (posterior, best) = try AcquisitionFunction.drawn(
          surrogate, samples: samples, random: random)
      }
    }
    terms = Scratch(posterior.samples)
    meanWeights = Scratch(posterior.samples)
  }

  /// The acquisition at x [d].
  func value(_ x: UnsafePointer<Double>) -> Double {
    let sigma = posterior.evaluate(x).squareRoot()
    if case .confidence(let kappa) = form {
      return standardisation.score(posterior.means.pointer[0] + kappa * sigma)
    }
    let logValue = logMean(sigma, wantsWeights: false)
    if case .improvement = form { return exp(logValue) }
    return logValue
  }

  func value(_ x: [Double]) -> Double {
    x.withUnsafeBufferPointer { buffer in buffer.baseAddress.map { value($0) } ?? 0 }
  }

  /// The acquisition and its gradient at x.
  func value(_ x: [Double], gradient: inout [Double]) -> Double {
    for k in gradient.indices { gradient[k] = 0 }
    return x.withUnsafeBufferPointer { buffer in
      guard let x = buffer.baseAddress else { return 0 }
      return value(x, &gradient)
    }
  }

  private func value(_ x: UnsafePointer<Double>, _ gradient: inout [Double]) -> Double {
    let sigma = posterior.evaluateForGradient(x).squareRoot()
    var deviationWeight = 0.0
    var result = 0.0
    switch form {
    case .confidence(let kappa):
      meanWeights.pointer[0] = standardisation.scale
      deviationWeight = standardisation.scale * kappa
      result = standardisation.score(posterior.means.pointer[0] + kappa * sigma)
    case .improvement, .logImprovement:
      result = logMean(sigma, wantsWeights: true)
      // Σ_s w_s (slope_s (-z_s) + 1) / σ; logMean leaves w_s slope_s / σ as the mean weights.
      deviationWeight = 1 / sigma
      for s in 0..<posterior.samples {
        let z = (posterior.means.pointer[s] - best[s]) / sigma
        deviationWeight -= meanWeights.pointer[s] * z
      }
      if case .improvement = form {
        result = exp(result)
        for s in 0..<posterior.samples { meanWeights.pointer[s] *= result }
        deviationWeight *= result
      }
    }
    posterior.addGradient(
      meanWeights: meanWeights.pointer, deviationWeight: deviationWeight, deviation: sigma, x: x,
      to: &gradient)
    return result
  }

  /// ln((1/S) Σ_s EI_s); with weights: meanWeights[s] = softmax_s · (h'/h)(z_s) / σ.
  private func logMean(_ sigma: Double, wantsWeights: Bool) -> Double {
    let count = posterior.samples
    let terms = terms.pointer
    var largest = -Double.infinity
    for s in 0..<count {
      let (value, slope) = Normal.logImprovement((posterior.means.pointer[s] - best[s]) / sigma)
      terms[s] = value
      meanWeights.pointer[s] = slope
      largest = max(largest, value)
    }
    var sum = 0.0
    for s in 0..<count {
      let weight = exp(terms[s] - largest)
      sum += weight
      if wantsWeights { meanWeights.pointer[s] *= weight }
    }
    if wantsWeights {
      for s in 0..<count { meanWeights.pointer[s] /= sum * sigma }
    }
    return logScale + log(sigma) + largest + log(sum / Double(count))
  }

  /// `count` posterior draws of the function at the observed points, and the process conditioned
  /// on each as if it had been seen without noise. All share one covariance, hence one factor.
  private static func drawn(
    _ surrogate: Surrogate, samples count: Int, random: CounterRandom
  ) throws(DFMergeError) -> (Posterior, [Double]) {
    let n = surrogate.observations.count
    let kernel = surrogate.kernel
    let jitter = conditioningJitter * kernel.amplitude
    let prior = Posterior.covarianceMatrix(
      kernel: kernel, points: surrogate.observations.points, count: n)
    for i in 0..<n {
      for j in 0..<i { prior.pointer[j * n + i] = prior.pointer[i * n + j] }
    }
    defer { withExtendedLifetime(prior) {} }
    // c = K0 - vᵀ v with v = L⁻¹ K0: the posterior covariance at the data.
    let v = Scratch(n * n)
    let c = Scratch(n * n)
    defer { withExtendedLifetime((v, c)) {} }
    for i in 0..<(n * n) {
      v.pointer[i] = prior.pointer[i]
      c.pointer[i] = prior.pointer[i]
    }
    Dense.solveLower(surrogate.posterior.factor.pointer, n, v.pointer, columns: n)
    for k in 0..<n {
      let row = v.pointer + k * n
      for i in 0..<n { Dense.addScaled(c.pointer + i * n, -row[i], row, i + 1) }
    }
    for i in 0..<n { c.pointer[i * n + i] += jitter }
    let root = try Posterior.factor(c, n, amplitude: kernel.amplitude)

    let normals = Scratch(SpaceFilling.normals(rows: n, columns: count, random: random))
    let draws = Scratch(n * count)
    defer { withExtendedLifetime((root, normals, draws)) {} }
    var best = [Double](repeating: -.infinity, count: count)
    for i in 0..<n {
      let row = draws.pointer + i * count
      for s in 0..<count { row[s] = surrogate.meansAtData[i] }
      for j in 0...i {
        Dense.addScaled(row, root.pointer[i * n + j], normals.pointer + j * count, count)
      }
      for s in 0..<count { best[s] = max(best[s], row[s]) }
    }
    for i in 0..<n { prior.pointer[i * n + i] += jitter }
    let factor = try Posterior.factor(prior, n, amplitude: kernel.amplitude)
    let posterior = Posterior(
      kernel: kernel, points: surrogate.observations.points, constant: surrogate.constant,
      factor: factor, targets: (0..<(n * count)).map { draws.pointer[$0] }, samples: count)
    return (posterior, best)
  }
}
