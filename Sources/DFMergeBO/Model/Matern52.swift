import Glibc

// The Matern-5/2 covariance with one length-scale per dimension.
//
// Glossary:  d: dimensions   l [d]: length-scales   r² = Σ_k (x_k - z_k)² / l_k²
//   k(r) = s² (1 + √5 r + 5 r²/3) exp(-√5 r),   s²: amplitude
//   g(r) = dk / d(r²/2) = -(5/3) s² (1 + √5 r) exp(-√5 r)
// k and g are smooth at r = 0, which is why the gradient is written through r² and never through r.
// Source: Rasmussen and Williams 2006, Eq. 4.17.
struct Matern52: Equatable {
  var lengthScales: [Double]
  var amplitude: Double
  /// Maps the points first; nil for none. The length-scales are those of the warped cube.
  var warping: Warping?

  /// Correlation and its derivative by r²/2, both without the amplitude.
  @inline(__always)
  static func correlation(_ squaredDistance: Double) -> (k: Double, g: Double) {
    let t = (5 * squaredDistance).squareRoot()
    let e = exp(-t)
    return ((1 + t + t * t * (1 / 3.0)) * e, -(5 / 3.0) * (1 + t) * e)
  }
}
