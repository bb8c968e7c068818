import Glibc

// The log marginal likelihood of a Gaussian process and its gradient by the logarithms of its
// hyper-parameters.
//
// Glossary:  n: data   q: length-scales (d, or 1 where they are shared)   P = n (n-1) / 2 pairs i
// > j
//   D (differences) [q, P]: squared differences of each pair, per dimension (summed, for q = 1)
//   R, G (correlation, slope) [P]: k(r)/s² of each pair and its derivative by r²/2 (Matern52)
//   K (covariance) [n, n] = s² R + diag(fixed + learned · free)
//   α = K⁻¹ (y - c) [n]      W = K⁻¹ - α αᵀ [n, n]
//   f = -LML = ½ (y - c)·α + Σ ln L_ii + (n/2) ln 2π
//   ∂f/∂ln l_k = -½ Σ_ij W_ij s² G_ij D_kij / l_k²    ∂f/∂ln s² = ½ Σ_ij W_ij s² R_ij
//   ∂f/∂ln(free) = ½ Σ_i W_ii learned_i free
// c is 0, or its own maximum a posteriori under N(0, v):  c = 1·K⁻¹y / (1·K⁻¹1 + 1/v), with the
// prior's c²/(2v) added to f; the gradient needs no further term because f is stationary in c.
// With a warping w (Warping) D is of the warped points:
//   ∂f/∂θ = Σ_i (∂w_i/∂θ) Σ_j W_ij s² G_ij (w_i - w_j) / l_k²,  θ: ln a_k or ln b_k
// Source: Rasmussen and Williams 2006, Eq. 2.30 and 5.9.
final class MarginalLikelihood {
  let count: Int
  let scales: Int
  private let pairs: Int
  private let differences: Scratch
  /// X, where a warping makes the differences anew at each evaluation; else empty.
  private let points: [Double]
  private let y: [Double]
  private let fixedNoise: [Double]
  private let learned: [Bool]
  private let constantVariance: Double

  private let squared: Scratch
  private let correlation: Scratch
  private let slope: Scratch
  private let covariance: Scratch
  private let inverse: Scratch
  private let work: Scratch
  private let alpha: Scratch
  private let ones: Scratch

  /// - Parameters:
  ///   - points: X, row-major [n, d].
  ///   - isotropic: one length-scale for all dimensions.
  ///   - fixedNoise: known noise variances [n].
  ///   - learned: where the free noise is added as well [n].
  ///   - constantVariance: v of the constant mean's prior; 0 for no constant.
  ///   - isWarped: every evaluation is given a warping.
  init(
    points: [Double], dimension d: Int, y: [Double], isotropic: Bool, fixedNoise: [Double],
    learned: [Bool], constantVariance: Double, isWarped: Bool = false
  ) {
    let n = y.count
    count = n
    scales = isotropic ? 1 : d
    pairs = n * (n - 1) / 2
    self.y = y
    self.fixedNoise = fixedNoise
    self.learned = learned
    self.constantVariance = constantVariance
    differences = Scratch(scales * pairs)
    self.points = isWarped ? points : []
    squared = Scratch(pairs)
    correlation = Scratch(pairs)
    slope = Scratch(pairs)
    covariance = Scratch(n * n)
    inverse = Scratch(n * n)
    work = Scratch(n * n)
    alpha = Scratch(n)
    ones = Scratch(n)
    fillDifferences(points, dimension: d)
  }

  /// Adds the squared differences to D.
  private func fillDifferences(_ points: [Double], dimension d: Int) {
    for k in 0..<d {
      let row = differences.pointer + (scales < d ? 0 : k * pairs)
      var p = 0
      for i in 0..<count {
        for j in 0..<i {
          let u = points[i * d + k] - points[j * d + k]
          row[p] += u * u
          p += 1
        }
      }
    }
  }

  struct Evaluation {
    /// f = -LML plus the constant's prior; infinite where K is not positive definite.
    var value: Double
    /// ∂f/∂ln l [q].
    var scaleGradient: [Double]
    var amplitudeGradient: Double
    var noiseGradient: Double
    /// c.
    var constant: Double
    /// ∂f/∂ln a [d], then ∂f/∂ln b [d]; empty without a warping.
    var warpingGradient: [Double] = []
  }

  /// Cost: n³/2 multiply-adds, n²/2 exponentials.
  func evaluate(
    logScales: ArraySlice<Double>, amplitude: Double, noise: Double, warping: Warping? = nil
  ) -> Evaluation {
    let n = count
    let inverseSquares = logScales.map { exp(-2 * $0) }
    var result = Evaluation(
      value: .infinity, scaleGradient: [Double](repeating: 0, count: scales),
      amplitudeGradient: 0, noiseGradient: 0, constant: 0)
    let warped = warping?.points(points) ?? []
    if warping != nil {
      result.warpingGradient = [Double](repeating: 0, count: 2 * scales)
      for p in 0..<(scales * pairs) { differences.pointer[p] = 0 }
      fillDifferences(warped, dimension: scales)
    }
    fillCovariance(inverseSquares, amplitude, noise)
    guard Dense.cholesky(covariance.pointer, n) else { return result }

    var logDeterminant = 0.0
    for i in 0..<n {
      logDeterminant += log(covariance.pointer[i * n + i])
      alpha.pointer[i] = y[i]
      ones.pointer[i] = 1
    }
    solve(alpha.pointer)
    var c = 0.0
    if constantVariance > 0 {
      solve(ones.pointer)
      var numerator = 0.0
      var denominator = 1 / constantVariance
      for i in 0..<n {
        numerator += alpha.pointer[i]
        denominator += ones.pointer[i]
      }
      c = numerator / denominator
      Dense.addScaled(alpha.pointer, -c, ones.pointer, n)
    }
    var fit = 0.0
    for i in 0..<n { fit += (y[i] - c) * alpha.pointer[i] }
    result.value = 0.5 * fit + logDeterminant + Double(n) * Normal.halfLogTwoPi
    if constantVariance > 0 { result.value += 0.5 * c * c / constantVariance }
    result.constant = c

    Dense.inverse(fromCholesky: covariance.pointer, n, into: inverse.pointer, scratch: work.pointer)
    fillGradient(&result, inverseSquares, amplitude, noise)
    if let warping { addWarpingGradient(&result, inverseSquares, warping, warped) }
    return result
  }

  private func solve(_ b: UnsafeMutablePointer<Double>) {
    Dense.solveLower(covariance.pointer, count, b)
    Dense.solveLowerTransposed(covariance.pointer, count, b)
  }

  private func fillCovariance(_ inverseSquares: [Double], _ amplitude: Double, _ noise: Double) {
    let squared = squared.pointer
    for p in 0..<pairs { squared[p] = 0 }
    for k in 0..<scales {
      Dense.addScaled(squared, inverseSquares[k], differences.pointer + k * pairs, pairs)
    }
    for p in 0..<pairs {
      let (k, g) = Matern52.correlation(squared[p])
      correlation.pointer[p] = k
      slope.pointer[p] = g
    }
    var p = 0
    for i in 0..<count {
      let row = covariance.pointer + i * count
      for j in 0..<i {
        row[j] = amplitude * correlation.pointer[p]
        p += 1
      }
      row[i] = amplitude + fixedNoise[i] + (learned[i] ? noise : 0)
    }
  }

  private func fillGradient(
    _ result: inout Evaluation, _ inverseSquares: [Double], _ amplitude: Double, _ noise: Double
  ) {
    let n = count
    // wg: W s² G of each pair replaces the squared distances, which are no longer needed.
    let wg = squared.pointer
    var diagonal = 0.0
    var cross = 0.0
    var p = 0
    for i in 0..<n {
      let row = inverse.pointer + i * n
      let a = alpha.pointer[i]
      for j in 0..<i {
        let w = row[j] - a * alpha.pointer[j]
        cross += w * correlation.pointer[p]
        wg[p] = w * amplitude * slope.pointer[p]
        p += 1
      }
      let w = row[i] - a * a
      diagonal += w
      if learned[i] { result.noiseGradient += 0.5 * w * noise }
    }
    result.amplitudeGradient = amplitude * (0.5 * diagonal + cross)
    for k in 0..<scales {
      let product = Dense.dot(wg, differences.pointer + k * pairs, pairs)
      result.scaleGradient[k] = -product * inverseSquares[k]
    }
  }
  /// After ``fillGradient``, which leaves W s² G of each pair.
  private func addWarpingGradient(
    _ result: inout Evaluation, _ inverseSquares: [Double], _ warping: Warping, _ warped: [Double]
  ) {
    let d = scales
    var pulls = [Double](repeating: 0, count: count * d)
    var p = 0
    for i in 0..<count {
      for j in 0..<i {
        let wg = squared.pointer[p]
        for k in 0..<d {
          let pull = wg * (warped[i * d + k] - warped[j * d + k])
          pulls[i * d + k] += pull
          pulls[j * d + k] -= pull
        }
        p += 1
      }
    }
    for i in 0..<count {
      for k in 0..<d {
        let slopes = warping.shapeSlopes(points[i * d + k], k)
        let pull = pulls[i * d + k] * inverseSquares[k]
        result.warpingGradient[k] += pull * slopes.first
        result.warpingGradient[d + k] += pull * slopes.second
      }
    }
  }
}
