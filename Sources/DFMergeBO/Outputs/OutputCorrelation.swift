import Glibc

// How the outputs vary together beyond what their means say.
//
// Glossary:  T: outputs   n: full evaluations   r_t [n] = L_t⁻¹ (y_t - c_t): what an output's own
//   process left unexplained of each trial, whitened
//   ρ = (1 - λ) r_t·r_u / (|r_t| |r_u|) + λ I,  λ = 2 / (n + 2)
// Tasks of one merge rise and fall together where it collapses and trade off against each other
// elsewhere. Independent processes get the means right and the variance of their sum wrong; ρ times
// the product of two deviations stands for their posterior covariance. It is exact where the
// outputs share kernel and noise (the intrinsic model of coregionalisation, Bonilla, Chai and
// Williams 2008), and ρ is positive definite for every n, so that the sum's variance is never
// negative.
struct OutputCorrelation {
  /// ρ, row-major [T, T].
  let matrix: [Double]
  /// Its lower Cholesky factor, row-major [T, T].
  let root: [Double]

  init(_ surrogates: [Surrogate]) {
    let count = surrogates.count
    let n = surrogates.first?.observations.count ?? 0
    let residuals = surrogates.map { surrogate in
      let residual = Scratch(surrogate.targets.map { $0 - surrogate.constant })
      Dense.solveLower(surrogate.posterior.factor.pointer, n, residual.pointer)
      return residual
    }
    defer { withExtendedLifetime(residuals) {} }
    let shrinkage = 2 / Double(n + 2)
    let rho = Scratch(count * count)
    defer { withExtendedLifetime(rho) {} }
    for t in 0..<count {
      for u in 0..<t {
        let (a, b) = (residuals[t].pointer, residuals[u].pointer)
        let length = (Dense.dot(a, a, n) * Dense.dot(b, b, n)).squareRoot()
        let value = length > 0 ? (1 - shrinkage) * Dense.dot(a, b, n) / length : 0
        rho.pointer[t * count + u] = value
        rho.pointer[u * count + t] = value
      }
      rho.pointer[t * count + t] = 1
    }
    matrix = (0..<(count * count)).map { rho.pointer[$0] }
    // The shrinkage keeps every eigenvalue at λ or above, so this does not fail.
    _ = Dense.cholesky(rho.pointer, count)
    root = (0..<(count * count)).map { $0 % count <= $0 / count ? rho.pointer[$0] : 0 }
  }

  /// Turns independent rows [T, m], row-major, into correlated ones, in place.
  func mix(_ rows: UnsafeMutablePointer<Double>, columns m: Int) {
    let count = matrix.isEmpty ? 0 : Int(Double(matrix.count).squareRoot().rounded())
    for t in stride(from: count - 1, through: 0, by: -1) {
      let row = rows + t * m
      let own = root[t * count + t]
      for k in 0..<m { row[k] *= own }
      for u in 0..<t { Dense.addScaled(row, root[t * count + u], rows + u * m, m) }
    }
  }
}
