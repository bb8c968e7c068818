import Glibc

/// The posteriors of all outputs at one point, and the way back from derivatives by their means and
/// deviations to a gradient.
///
/// Glossary:  T: outputs   S: joint draws of the outputs at the data (1 where they are known)
///   m [T, S]: posterior means   σ [T]: deviations   u [T, S], w [T]: derivatives by m and σ
final class OutputStack {
  let posteriors: [Posterior]
  let samples: Int
  let deviations: Scratch
  /// u and w: to be filled after ``evaluateForGradient(_:)``, which zeroes them.
  let meanSlopes: Scratch
  let deviationSlopes: Scratch

  var count: Int { posteriors.count }

  init(_ posteriors: [Posterior]) {
    self.posteriors = posteriors
    samples = posteriors.first?.samples ?? 1
    deviations = Scratch(posteriors.count)
    meanSlopes = Scratch(posteriors.count * samples)
    deviationSlopes = Scratch(posteriors.count)
  }

  func means(_ output: Int) -> UnsafeMutablePointer<Double> { posteriors[output].means.pointer }

  func evaluate(_ x: UnsafePointer<Double>) {
    for t in 0..<count { deviations.pointer[t] = posteriors[t].evaluate(x).squareRoot() }
  }

  func evaluateForGradient(_ x: UnsafePointer<Double>) {
    for t in 0..<count {
      deviations.pointer[t] = posteriors[t].evaluateForGradient(x).squareRoot()
      deviationSlopes.pointer[t] = 0
    }
    for i in 0..<(count * samples) { meanSlopes.pointer[i] = 0 }
  }

  /// gradient += factor · Σ_t (Σ_s u_ts dm_ts/dx + w_t dσ_t/dx).
  func addGradient(factor: Double, x: UnsafePointer<Double>, to gradient: inout [Double]) {
    for i in 0..<(count * samples) { meanSlopes.pointer[i] *= factor }
    for t in 0..<count {
      posteriors[t].addGradient(
        meanWeights: meanSlopes.pointer + t * samples,
        deviationWeight: factor * deviationSlopes.pointer[t],
        deviation: deviations.pointer[t], x: x, to: &gradient)
    }
  }
}
