import CDFMergeDense
import DFMergeCore

/// The orthogonal polar factor `U VT` of a matrix, from its thin singular value decomposition
/// `U diag(S) VT`: the nearest matrix with orthonormal columns (or rows, if there are fewer).
///
/// Where the matrix has singular values of 0, the factor is one of several: those directions are
/// some orthonormal completion, the same on every machine. A cutoff leaves such directions out.
package struct PolarFactor: Sendable {
  /// Of the matrix's shape.
  package let factor: Matrix
  /// All singular values, falling.
  package let singularValues: [Double]

  /// Decomposes `a`; accuracy and errors as ``SingularValueDecomposition``, at less cost.
  /// - Parameter cutoff: directions whose singular value is at most this share of the largest are
  ///   left out of the factor; nil keeps all.
  package init(_ a: Matrix, cutoff: Double? = nil) throws(DFMergeError) {
    var factor = try Matrix(rows: a.rows, columns: a.columns)
    var s = [Double](repeating: 0, count: a.rank)
    let status = factor.withElements { factor in
      DenseStatus.status { level in
        dfmd_polar(
          level, a.elements, Int64(a.rows), Int64(a.columns), cutoff ?? -1, factor.baseAddress, &s)
      }
    }
    try DenseStatus.check("polar decomposition", status)
    (self.factor, self.singularValues) = (factor, s)
  }

  /// The most bytes that a decomposition takes from the heap beside its operand and result.
  package static func heapBytes(rows: Int, columns: Int) -> Int {
    Int(dfmd_polar_bytes(Int64(rows), Int64(columns)))
  }
}
