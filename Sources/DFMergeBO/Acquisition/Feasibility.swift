import Glibc

// The logarithm of the probability that no output falls below its floor.
//
// Glossary:  φ_t: floor of output t, standardised    a_ts = (m_ts - φ_t) / σ_t
//   ln P_s = Σ_t ln Φ(a_ts)       ∂ ln Φ(a) = (φ/Φ)(a) (∂m - a ∂σ) / σ
// Source: Gardner et al. 2014, "Bayesian optimization with inequality constraints"; under the draws
// of noisy EI as Letham et al. 2019, section 4.2.
final class Feasibility {
  private let stack: OutputStack
  private let floors: [(output: Int, floor: Double)]

  /// nil where no output has a floor.
  init?(_ stack: OutputStack, floors: [Double?]) {
    self.stack = stack
    self.floors = floors.enumerated().compactMap { index, floor in
      floor.map { (index, $0) }
    }
    if self.floors.isEmpty { return nil }
  }

  /// terms[s] += ln P_s.
  func addLogProbabilities(to terms: UnsafeMutablePointer<Double>) {
    for (t, floor) in floors {
      let sigma = stack.deviations.pointer[t]
      for s in 0..<stack.samples {
        terms[s] += Normal.logDistribution((stack.means(t)[s] - floor) / sigma).value
      }
    }
  }

  /// Adds the derivatives of Σ_s weights_s / total · ln P_s to the stack's slopes.
  func addSlopes(weights: UnsafePointer<Double>, total: Double) {
    for (t, floor) in floors {
      let sigma = stack.deviations.pointer[t]
      for s in 0..<stack.samples {
        let a = (stack.means(t)[s] - floor) / sigma
        let slope = weights[s] / total * Normal.logDistribution(a).slope / sigma
        stack.meanSlopes.pointer[t * stack.samples + s] += slope
        stack.deviationSlopes.pointer[t] -= slope * a
      }
    }
  }

  /// Whether the outputs [T] are at or above their floors.
  func isFeasible(_ output: (Int) -> Double) -> Bool {
    floors.allSatisfy { output($0.output) >= $0.floor }
  }
}

extension Normal {
  /// ln Φ(z) and its derivative φ/Φ, for every finite z.
  ///
  /// Below -5 by the continued fraction of Mills' ratio (see ``Normal``): ln Φ(-a) =
  /// -a²/2 - ln √(2π) - ln(a + K(a)), derivative a + K(a).
  static func logDistribution(_ argument: Double) -> (value: Double, slope: Double) {
    let z = min(max(argument, -1e10), 1e10)
    if z > 0 {
      let upper = distribution(-z)
      return (log1p(-upper), density(z) / (1 - upper))
    }
    if z > -5 {
      let cumulative = distribution(z)
      return (log(cumulative), density(z) / cumulative)
    }
    let a = -z
    var fraction = a
    for k in stride(from: 30, to: 0, by: -1) { fraction = a + Double(k) / fraction }
    return (-0.5 * z * z - halfLogTwoPi - log(fraction), fraction)
  }
}
