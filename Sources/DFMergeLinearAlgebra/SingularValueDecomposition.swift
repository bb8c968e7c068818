import CDFMergeDense
import DFMergeCore

/// The thin singular value decomposition `A = U diag(S) VT`, or its largest terms.
///
/// Signs: in each row of `vt` the element of largest magnitude, the first one of several, is
/// positive. Vectors of equal singular values are some orthonormal basis of their space.
package struct SingularValueDecomposition: Sendable {
  /// rows x count, with orthonormal columns.
  package let u: Matrix
  /// Falling, none negative.
  package let s: [Double]
  /// count x columns, with orthonormal rows.
  package let vt: Matrix

  /// Decomposes `a`.
  ///
  /// Accuracy: singular values are right to about 1e-15 of the largest one, and so is
  /// `U diag(S) VT`; columns are orthonormal to 1e-10 or better. The scale of the elements does not
  /// matter, down to subnormal numbers. Singular values of 0 have vectors too.
  ///
  /// - Parameter count: How many of the largest singular values to keep; nil, and more than there
  ///   are, means all. Fewer take less time for `u` only.
  /// - Complexity: For n columns and m >= n rows, or the other way round, about 2 m n^2 operations
  ///   where m > 1.5 n, 9 n^3, and 2 m n count; heap as ``heapBytes(rows:columns:keeping:)``.
  /// - Throws: `.nonFinite` when an element is NaN or infinite, or a singular value too large for a
  ///   double; `.outOfMemory`.
  package init(_ a: Matrix, keeping count: Int? = nil) throws(DFMergeError) {
    let count = max(min(count ?? a.rank, a.rank), 0)
    var (u, vt) = (
      try Matrix(rows: a.rows, columns: count), try Matrix(rows: count, columns: a.columns)
    )
    var s = [Double](repeating: 0, count: count)
    let status = u.withElements { u in
      vt.withElements { vt in
        DenseStatus.status { level in
          dfmd_svd(
            level, a.elements, Int64(a.rows), Int64(a.columns), Int64(count), u.baseAddress, &s,
            vt.baseAddress)
        }
      }
    }
    try DenseStatus.check("singular value decomposition", status)
    (self.u, self.s, self.vt) = (u, s, vt)
  }

  /// The most bytes that a decomposition takes from the heap beside its operand and result.
  package static func heapBytes(rows: Int, columns: Int, keeping count: Int? = nil) -> Int {
    let all = min(rows, columns)
    return Int(dfmd_svd_bytes(Int64(rows), Int64(columns), Int64(min(count ?? all, all))))
  }
}
