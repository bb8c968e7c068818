import Glibc

// A monotone map of each coordinate, for scores that react to it at one end more than at the other.
//
// Glossary:  a, b [d]: positive; 1, 1 is the identity   u = x^a   q = 1 - u
//   w(x) = 1 - (1 - x^a)^b      the distribution function of Kumaraswamy
//   dw/dx = a b x^(a-1) q^(b-1)
//   dw/d ln a = a b u q^(b-1) ln x      dw/d ln b = -b q^b ln q      both 0 at x = 0 and x = 1
// All by ln x and ln q, which keep their digits where u is within a rounding of 0 or 1.
// Source: Snoek, Swersky, Zemel and Adams 2014, "Input warping for Bayesian optimization of
// non-stationary functions".
struct Warping: Equatable {
  /// a and b of each dimension.
  var first: [Double]
  var second: [Double]

  /// dw/dx has no bound at the ends where a or b is below 1; it is taken no nearer to them than
  /// this, so that a local search there has a finite direction.
  static let border = 1e-6

  /// ln x and ln q for 0 < x < 1.
  @inline(__always)
  private static func logarithms(_ x: Double, _ a: Double) -> (x: Double, q: Double) {
    let logarithm = log(x)
    let t = a * logarithm
    return (logarithm, t < -0.6931471805599453 ? log1p(-exp(t)) : log(-expm1(t)))
  }

  /// w(x) of dimension k; 0 and 1 stay as they are.
  func value(_ x: Double, _ k: Int) -> Double {
    guard x > 0 else { return 0 }
    guard x < 1 else { return 1 }
    return -expm1(second[k] * Warping.logarithms(x, first[k]).q)
  }

  /// dw/dx of dimension k, finite everywhere in [0, 1].
  func slope(_ x: Double, _ k: Int) -> Double {
    let (a, b) = (first[k], second[k])
    let inside = min(max(x, Warping.border), 1 - Warping.border)
    let logs = Warping.logarithms(inside, a)
    return a * b * exp((a - 1) * logs.x + (b - 1) * logs.q)
  }

  /// dw/d ln a and dw/d ln b of dimension k.
  func shapeSlopes(_ x: Double, _ k: Int) -> (first: Double, second: Double) {
    guard x > 0, x < 1 else { return (0, 0) }
    let (a, b) = (first[k], second[k])
    let logs = Warping.logarithms(x, a)
    return (
      a * b * logs.x * exp(a * logs.x + (b - 1) * logs.q), -b * logs.q * exp(b * logs.q)
    )
  }

  /// Points, row-major [n, d], warped.
  func points(_ points: [Double]) -> [Double] {
    let d = first.count
    return points.indices.map { value(points[$0], $0 % d) }
  }
}
