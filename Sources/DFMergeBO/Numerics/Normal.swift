import Glibc

// The standard normal distribution, and the logarithm of expected improvement in its stable form.
//
// Glossary:  φ density, Φ distribution function, h(z) = φ(z) + z Φ(z) = E[max(0, z + N(0,1))]
//   a = -z;  R(a) = (1 - Φ(a)) / φ(a), Mills' ratio, = 1/(a + K(a)) with the continued fraction
//   K(a) = 1/(a + 2/(a + 3/(a + ...)))      (Laplace; Abramowitz and Stegun 26.2.14)
// From 1 - a R = K R:  h(-a) = φ(a) K / (a + K) and h'/h = 1/K: no cancellation anywhere in the
// tail. Same purpose as Ament et al. 2023, "Unexpected improvements to expected improvement" (Eq.
// 9 and appendix A), with the continued fraction in place of erfcx.
enum Normal {
  /// ln(2π)/2.
  static let halfLogTwoPi = 0.918938533204672741780329736406
  private static let reciprocalSqrtTwo = 0.707106781186547524400844362105
  private static let reciprocalSqrtTwoPi = 0.398942280401432677939946059934

  static func density(_ z: Double) -> Double { reciprocalSqrtTwoPi * exp(-0.5 * z * z) }

  /// Φ(z), accurate in relative terms in the lower tail down to z = -37.
  static func distribution(_ z: Double) -> Double { 0.5 * erfc(-z * reciprocalSqrtTwo) }

  /// The z with Φ(z) = p, for 0 < p < 1; p outside gives ∓8, beyond any quantile used here.
  ///
  /// Newton's iteration from 0 on the lower half, where Φ is convex, so that it falls on the root
  /// from one side and cannot miss it.
  static func quantile(_ p: Double) -> Double {
    guard p > 0 else { return -8 }
    guard p < 1 else { return 8 }
    if p > 0.5 { return -quantile(1 - p) }
    var z = 0.0
    for _ in 0..<100 {
      let step = (distribution(z) - p) / density(z)
      z -= step
      if abs(step) < 1e-15 * max(1, abs(z)) { break }
    }
    return z
  }

  /// h(z) itself: what expected improvement is in units of σ. 0 below z = -38.
  static func improvement(_ z: Double) -> Double { exp(logImprovement(z).value) }

  /// Below this z the direct form would lose more than three digits to cancellation.
  private static let tailStart = -5.0
  /// Terms of the continued fraction for double precision at a >= 5 (26 measured) and a >= 15 (10).
  private static let tailTerms = 28
  private static let farTailTerms = 11
  /// |z| is clipped here: z² must stay finite and a^farTailTerms in range. No model reaches it.
  private static let largestArgument = 1e10

  /// ln h(z) and its derivative d ln h / dz = Φ/h, for every finite z.
  static func logImprovement(_ argument: Double) -> (value: Double, slope: Double) {
    let z = min(max(argument, -largestArgument), largestArgument)
    if z > tailStart {
      let phi = density(z)
      let cumulative = distribution(z)
      let h = phi + z * cumulative
      return (log(h), cumulative / h)
    }
    let a = -z
    // Backwards, as a fraction numerator/denominator: one division instead of one per term.
    var numerator = a
    var denominator = 1.0
    for k in stride(from: a < 15 ? tailTerms : farTailTerms, to: 1, by: -1) {
      (numerator, denominator) = (a * numerator + Double(k) * denominator, numerator)
    }
    let fraction = denominator / numerator
    return (
      -0.5 * z * z - halfLogTwoPi + log(fraction / (a + fraction)), numerator / denominator
    )
  }
}
