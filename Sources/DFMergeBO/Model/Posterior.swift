import DFMergeCore
import Glibc

// A Gaussian process conditioned on data: mean, variance and their gradients at any point.
//
// Glossary (all in standardised score units):
//   n: data   d: dimensions   S: mean vectors that share one covariance (1, or the samples of
//   noisy EI) X [n, d]: data points     K [n, n] = k(X, X) + diag(noise) = L Lᵀ A [n, S] = K⁻¹ (F
//   - c):   one column per mean vector   c: the constant prior mean κ [n] = k(X, x)           v =
//   L⁻¹ κ       b = K⁻¹ κ mean m_s(x) = c + κ·A_s   variance σ²(x) = k(x, x) - v·v, of the
//   function itself: noise excluded dκ_i/dx_k = g(r_i) (x_k - X_ik) / l_k²
// Source: Rasmussen and Williams 2006, Algorithm 2.1.
final class Posterior {
  let count: Int
  let dimension: Int
  let samples: Int
  let kernel: Matern52
  let constant: Double
  /// L, row-major [n, n].
  let factor: Scratch
  /// A, row-major [n, S].
  let weights: Scratch

  /// Variances are held at or above this share of the amplitude: rounding can take k - v·v below
  /// zero.
  static let varianceFloor = 1e-12

  /// X divided by the length-scales, one row per dimension: [d, n].
  private let scaled: Scratch
  private let inverseScales: Scratch
  /// The point of the latest evaluation, warped [d].
  private let warped: Scratch
  private let kappa: Scratch
  private let slope: Scratch
  private let solved: Scratch
  /// m_s(x) of the latest call of ``evaluate(_:)`` or ``evaluateForGradient(_:)``: [S].
  let means: Scratch

  /// - Parameters:
  ///   - points: X, row-major.
  ///   - factor: L of K.
  ///   - targets: F, row-major [n, S].
  init(
    kernel: Matern52, points: [Double], constant: Double, factor: Scratch, targets: [Double],
    samples: Int
  ) {
    let d = kernel.lengthScales.count
    let n = points.count / d
    self.kernel = kernel
    self.constant = constant
    self.factor = factor
    self.samples = samples
    count = n
    dimension = d
    weights = Scratch(targets)
    for i in 0..<targets.count { weights.pointer[i] -= constant }
    if samples == 1 {
      Dense.solveLower(factor.pointer, n, weights.pointer)
      Dense.solveLowerTransposed(factor.pointer, n, weights.pointer)
    } else {
      Dense.solveLower(factor.pointer, n, weights.pointer, columns: samples)
      Dense.solveLowerTransposed(factor.pointer, n, weights.pointer, columns: samples)
    }
    let points = kernel.warping?.points(points) ?? points
    warped = Scratch(kernel.warping == nil ? 0 : d)
    scaled = Scratch(d * n)
    inverseScales = Scratch(kernel.lengthScales.map { 1 / $0 })
    for i in 0..<n {
      for k in 0..<d {
        scaled.pointer[k * n + i] = points[i * d + k] * inverseScales.pointer[k]
      }
    }
    kappa = Scratch(n)
    slope = Scratch(n)
    solved = Scratch(n)
    means = Scratch(samples)
  }

  /// The variance at x [d]; the means are left in ``means``. Cost: n²/2 + n (d + S).
  func evaluate(_ x: UnsafePointer<Double>) -> Double {
    fillCovariances(x)
    let solved = solved.pointer
    for i in 0..<count { solved[i] = kappa.pointer[i] }
    Dense.solveLower(factor.pointer, count, solved)
    return floored(kernel.amplitude - Dense.dot(solved, solved, count))
  }

  /// As ``evaluate(_:)``, and makes ready for
  /// ``addGradient(meanWeights:deviationWeight:deviation:x:to:)``.
  func evaluateForGradient(_ x: UnsafePointer<Double>) -> Double {
    let variance = evaluate(x)
    Dense.solveLowerTransposed(factor.pointer, count, solved.pointer)
    return variance
  }

  /// gradient += Σ_s u_s dm_s/dx + w dσ/dx at the point of the latest ``evaluateForGradient(_:)``.
  ///
  /// dm_s/dx = (dκ/dx)ᵀ A_s and dσ/dx = -(dκ/dx)ᵀ b / σ, so all of it is one product with dκ/dx.
  func addGradient(
    meanWeights u: UnsafePointer<Double>, deviationWeight w: Double, deviation: Double,
    x: UnsafePointer<Double>, to gradient: inout [Double]
  ) {
    let n = count
    let slope = slope.pointer
    for i in 0..<n {
      let mean = Dense.dot(weights.pointer + i * samples, u, samples)
      slope[i] *= mean - w * solved.pointer[i] / deviation
    }
    let place = place(x)
    for k in 0..<dimension {
      let inverse = inverseScales.pointer[k]
      let coordinate = place[k] * inverse
      let row = scaled.pointer + k * n
      var sum = 0.0
      for i in 0..<n { sum += slope[i] * (coordinate - row[i]) }
      if let warping = kernel.warping { sum *= warping.slope(x[k], k) }
      gradient[k] += sum * inverse
    }
  }

  /// Mean and standard deviation at one point, for S = 1.
  func predict(_ x: [Double]) -> (mean: Double, deviation: Double) {
    let variance = x.withUnsafeBufferPointer { buffer in
      buffer.baseAddress.map { evaluate($0) } ?? kernel.amplitude
    }
    return (means.pointer[0], variance.squareRoot())
  }

  private func floored(_ variance: Double) -> Double {
    max(variance, Posterior.varianceFloor * kernel.amplitude)
  }

  /// Where the kernel sees x: itself, or warped.
  private func place(_ x: UnsafePointer<Double>) -> UnsafePointer<Double> {
    guard let warping = kernel.warping else { return x }
    for k in 0..<dimension { warped.pointer[k] = warping.value(x[k], k) }
    return UnsafePointer(warped.pointer)
  }

  private func fillCovariances(_ x: UnsafePointer<Double>) {
    let n = count
    let kappa = kappa.pointer
    let slope = slope.pointer
    for i in 0..<n { kappa[i] = 0 }
    let x = place(x)
    for k in 0..<dimension {
      let coordinate = x[k] * inverseScales.pointer[k]
      let row = scaled.pointer + k * n
      for i in 0..<n {
        let u = coordinate - row[i]
        kappa[i] += u * u
      }
    }
    for i in 0..<n {
      let (k, g) = Matern52.correlation(kappa[i])
      kappa[i] = kernel.amplitude * k
      slope[i] = kernel.amplitude * g
    }
    for s in 0..<samples { means.pointer[s] = constant }
    for i in 0..<n {
      Dense.addScaled(means.pointer, kappa[i], weights.pointer + i * samples, samples)
    }
  }
}

extension Posterior {
  /// L of k(X, X) + diag(noise), with the smallest jitter that makes it positive definite.
  ///
  /// The ladder: 0, then 1e-10, 1e-9, ... 1e-2 of the amplitude on the whole diagonal. Each rung
  /// is a noise variance that the data could have had, so the result stays a valid model.
  /// - Throws: `.notPositiveDefinite` where even the last rung fails.
  static func factor(
    kernel: Matern52, points: [Double], noise: [Double]
  ) throws(DFMergeError) -> Scratch {
    let n = noise.count
    let covariance = covarianceMatrix(kernel: kernel, points: points, count: n)
    for i in 0..<n { covariance.pointer[i * n + i] += noise[i] }
    return try factor(covariance, n, amplitude: kernel.amplitude)
  }

  /// L of a symmetric matrix whose lower triangle is given, by the same ladder.
  static func factor(
    _ matrix: Scratch, _ n: Int, amplitude: Double
  ) throws(DFMergeError) -> Scratch {
    let result = Scratch(n * n)
    defer { withExtendedLifetime(result) {} }
    for rung in jitterLadder {
      for i in 0..<(n * n) { result.pointer[i] = matrix.pointer[i] }
      for i in 0..<n { result.pointer[i * n + i] += rung * amplitude }
      if Dense.cholesky(result.pointer, n) { return result }
    }
    throw DFMergeError(
      .notPositiveDefinite,
      "The covariance of \(n) trials is not positive definite even with a jitter of "
        + "\(jitterLadder.last ?? 0) of the amplitude \(amplitude); check that the scores are "
        + "finite."
    )
  }

  private static let jitterLadder = [0, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2]

  /// The lower triangle of k(X, X), row-major [n, n], zeros above.
  static func covarianceMatrix(kernel: Matern52, points: [Double], count n: Int) -> Scratch {
    let d = kernel.lengthScales.count
    let points = kernel.warping?.points(points) ?? points
    let matrix = Scratch(n * n)
    defer { withExtendedLifetime(matrix) {} }
    let scaled = Scratch(n * d)
    defer { withExtendedLifetime(scaled) {} }
    for i in 0..<n {
      for k in 0..<d { scaled.pointer[i * d + k] = points[i * d + k] / kernel.lengthScales[k] }
    }
    for i in 0..<n {
      for j in 0..<i {
        var squared = 0.0
        for k in 0..<d {
          let u = scaled.pointer[i * d + k] - scaled.pointer[j * d + k]
          squared += u * u
        }
        matrix.pointer[i * n + j] = kernel.amplitude * Matern52.correlation(squared).k
      }
      matrix.pointer[i * n + i] = kernel.amplitude
    }
    return matrix
  }
}
