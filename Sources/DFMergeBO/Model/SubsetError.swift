import Glibc

// How the score of a first stage, on a fixed subset of the evaluation, differs from the full one.
//
// Glossary (standardised units of the full scores):
//   m: pairs, trials that have both scores     δ [m] = subset score - full score
//   δ(x) = b + e(x),  e ~ GP(0, v ((1 - ω) R + ω I)),  R: the correlation of the main process
// The subset is the same every time, so most of its error is smooth in x (which examples it holds)
// and the share ω is not (single examples that flip). b, v and ω are the maximum a posteriori:
//   b ~ N(0, 1), in closed form    ω uniform over a few values
//   ln v ~ N(ln v0, 2²),  v0 = ν (1/q - 1): for a score that is a mean over examples with variance
//   ν, the difference to the mean over a share q of the same examples has this variance
// by search over a fixed grid. Without pairs: b = 0, v = v0.
// Source: the auto-regressive model of Kennedy and O'Hagan 2000 with the roles turned round: the
// cheap score is the dear one plus an error.
struct SubsetError: Equatable {
  let bias: Double
  let variance: Double
  /// ω.
  let roughness: Double

  private static let logDeviation = 2.0
  private static let logSteps = (-10...10).map { 0.5 * Double($0) }
  static let roughnesses = [0.2, 0.05, 0.5, 0.8]
  /// v0 at least: a noise learned as nil says little.
  static let smallestVariance = 1e-4

  /// - Parameters:
  ///   - points: of the pairs, row-major [m, d].
  ///   - noise: ν.
  ///   - share: q.
  init(
    kernel: Matern52, points: [Double], differences: [Double], noise: Double, share: Double
  ) {
    let m = differences.count
    let expected = max(noise * (1 / share - 1), SubsetError.smallestVariance)
    var unit = kernel
    unit.amplitude = 1
    let correlation = Posterior.covarianceMatrix(kernel: unit, points: points, count: m)
    defer { withExtendedLifetime(correlation) {} }
    var best = (value: Double.infinity, bias: 0.0, variance: expected, roughness: 0.2)
    for roughness in SubsetError.roughnesses where m > 0 {
      for step in SubsetError.logSteps {
        let variance = expected * exp(step)
        guard
          let (value, bias) = SubsetError.negativeLogLikelihood(
            correlation, differences, variance, roughness)
        else { continue }
        let prior = 0.5 * (step / SubsetError.logDeviation) * (step / SubsetError.logDeviation)
        if value + prior < best.value { best = (value + prior, bias, variance, roughness) }
      }
    }
    bias = best.bias
    variance = best.variance
    roughness = best.roughness
  }

  /// -ln p(δ | v, ω) with b at its best, and b; nil where the covariance is not positive definite.
  private static func negativeLogLikelihood(
    _ correlation: Scratch, _ differences: [Double], _ variance: Double, _ roughness: Double
  ) -> (value: Double, bias: Double)? {
    let m = differences.count
    let factor = Scratch(m * m)
    let alpha = Scratch(differences)
    let ones = Scratch([Double](repeating: 1, count: m))
    defer { withExtendedLifetime((factor, alpha, ones)) {} }
    for i in 0..<(m * m) {
      factor.pointer[i] = variance * (1 - roughness) * correlation.pointer[i]
    }
    for i in 0..<m { factor.pointer[i * m + i] = variance }
    guard Dense.cholesky(factor.pointer, m) else { return nil }
    // Half solves suffice: every product below is one of whitened vectors.
    Dense.solveLower(factor.pointer, m, alpha.pointer)
    Dense.solveLower(factor.pointer, m, ones.pointer)
    let bias =
      Dense.dot(ones.pointer, alpha.pointer, m) / (Dense.dot(ones.pointer, ones.pointer, m) + 1)
    var value = 0.5 * bias * bias
    for i in 0..<m {
      let residual = alpha.pointer[i] - bias * ones.pointer[i]
      value += 0.5 * residual * residual + log(factor.pointer[i * m + i])
    }
    return (value, bias)
  }
}
