import Glibc

/// The posterior of the objective at the point where an ``OutputStack`` was evaluated last, for
/// each of its S joint draws, in the units of an ``Aggregation``.
protocol ObjectivePosterior {
  /// Writes ln E[max(0, g_s - best_s)] less a common term to `terms` [S] and returns that term.
  func logImprovements(over best: [Double], into terms: UnsafeMutablePointer<Double>) -> Double

  /// Adds the derivatives of Σ_s q_s ln E[max(0, g_s - best_s)] to the stack's slopes, with
  /// q = weights / total and Σ q = 1, after ``logImprovements(over:into:)``.
  func addImprovementSlopes(
    over best: [Double], weights: UnsafePointer<Double>, total: Double)

  /// Mean and deviation of g for the first draw.
  func moments() -> (mean: Double, deviation: Double)

  /// Adds u dmean + w ddeviation to the stack's slopes, after ``moments()``.
  func addMomentSlopes(mean u: Double, deviation w: Double)
}

// A weighted sum of independent Gaussian outputs, which is Gaussian: everything in closed form.
//
// Glossary:  m_s = Σ_t c_t m_ts   σ² = Σ_t c_t² σ_t²   z_s = (m_s - best_s) / σ   h: see Normal
//   ln EI_s = ln σ + ln h(z_s)       ∂ ln EI_s = (h'/h)(z_s) (∂m_s - z_s ∂σ) / σ + ∂σ / σ
// Sources: Jones, Schonlau and Welch 1998 (EI); Ament et al. 2023 (log forms).
final class LinearObjective: ObjectivePosterior {
  private let stack: OutputStack
  private let coefficients: [Double]
  private let slopes: Scratch
  private var sigma = 1.0

  init(_ stack: OutputStack, coefficients: [Double]) {
    self.stack = stack
    self.coefficients = coefficients
    slopes = Scratch(stack.samples)
  }

  @inline(__always)
  private func mean(_ s: Int) -> Double {
    var sum = 0.0
    for t in coefficients.indices { sum += coefficients[t] * stack.means(t)[s] }
    return sum
  }

  private func combineDeviations() {
    if coefficients.count == 1 {
      sigma = coefficients[0] * stack.deviations.pointer[0]
      return
    }
    var variance = 0.0
    for t in coefficients.indices {
      let part = coefficients[t] * stack.deviations.pointer[t]
      variance += part * part
    }
    sigma = variance.squareRoot()
  }

  func logImprovements(over best: [Double], into terms: UnsafeMutablePointer<Double>) -> Double {
    combineDeviations()
    for s in 0..<stack.samples {
      let (value, slope) = Normal.logImprovement((mean(s) - best[s]) / sigma)
      terms[s] = value
      slopes.pointer[s] = slope
    }
    return log(sigma)
  }

  func addImprovementSlopes(
    over best: [Double], weights: UnsafePointer<Double>, total: Double
  ) {
    let count = stack.samples
    // Σ_s q_s (slope_s (-z_s) + 1) / σ, with q_s slope_s / σ left as the weights of the means.
    var ofDeviation = 1 / sigma
    for s in 0..<count {
      slopes.pointer[s] = slopes.pointer[s] * weights[s] / (total * sigma)
      ofDeviation -= slopes.pointer[s] * ((mean(s) - best[s]) / sigma)
    }
    for t in coefficients.indices {
      let c = coefficients[t]
      let target = stack.meanSlopes.pointer + t * count
      for s in 0..<count { target[s] += c * slopes.pointer[s] }
      addDeviationSlope(t, ofDeviation)
    }
  }

  /// ∂σ/∂σ_t = c_t² σ_t / σ.
  private func addDeviationSlope(_ t: Int, _ weight: Double) {
    let share = coefficients[t] * stack.deviations.pointer[t] / sigma
    stack.deviationSlopes.pointer[t] += weight * (coefficients[t] * share)
  }

  func moments() -> (mean: Double, deviation: Double) {
    combineDeviations()
    return (mean(0), sigma)
  }

  func addMomentSlopes(mean u: Double, deviation w: Double) {
    for t in coefficients.indices {
      stack.meanSlopes.pointer[t * stack.samples] += coefficients[t] * u
      addDeviationSlope(t, w)
    }
  }
}
