import CDFMergeDense
import DFMergeCore

extension Matrix {
  /// `x` with `a x = b` for a symmetric `a`, of which only the lower triangle is read.
  ///
  /// By Cholesky's decomposition. Where that finds that `a` is not positive definite, by the
  /// eigenvalues: of all `x` with the least `|a x - b|` the one with the least `|x|`, eigenvalues
  /// of magnitude up to n 2^-52 times the largest counting as 0. Columns of `b` are solved for each
  /// by itself.
  ///
  /// - Complexity: n^3 / 3 + 2 n^2 columns(b) operations; 9 n^3 more in the second case. Heap as
  ///   ``symmetricHeapBytes(size:columns:)``.
  /// - Throws: `.shapeMismatch` when `a` is not square or has not as many rows as `b`,
  ///   `.nonFinite` when an element of `a` or `b` is NaN or infinite or one of `x` too large,
  ///   `.outOfMemory`.
  package static func solution(symmetric a: Matrix, _ b: Matrix) throws(DFMergeError) -> Matrix {
    guard a.rows == a.columns, a.rows == b.rows else {
      throw DFMergeError(
        .shapeMismatch,
        "A system of equations has a matrix of \(a.rows) x \(a.columns) and a right side of "
          + "\(b.rows) x \(b.columns); the first must be square, with as many rows as the second.")
    }
    var x = try Matrix(rows: b.rows, columns: b.columns)
    let status = x.withElements { x in
      DenseStatus.status { level in
        dfmd_solve_symmetric(
          level, a.elements, Int64(a.rows), b.elements, Int64(b.columns), x.baseAddress)
      }
    }
    try DenseStatus.check("system of equations", status)
    return x
  }

  /// The most bytes that ``solution(symmetric:_:)`` takes from the heap beside operands and result.
  package static func symmetricHeapBytes(size: Int, columns: Int) -> Int {
    Int(dfmd_solve_symmetric_bytes(Int64(size), Int64(columns)))
  }
}
