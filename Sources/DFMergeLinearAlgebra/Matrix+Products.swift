import CDFMergeDense
import DFMergeCore
import DFMergeKernels

extension Matrix {
  /// Which operands of a product are transposed before it.
  package enum Transposed: Sendable {
    case neither, first, second, both

    fileprivate var first: Bool { self == .first || self == .both }
    fileprivate var second: Bool { self == .second || self == .both }
  }

  /// `scale * op(a) op(b)`, where `op` transposes where `transposing` says so.
  ///
  /// Each element is the sum of its products in the order of the inner index, in runs of 256 that
  /// are added up in their order. Elements need not be finite. With an inner dimension of 0 the
  /// result is 0.
  /// - Complexity: 2 · rows · inner · columns operations; heap as ``productHeapBytes(rows:inner:columns:)``.
  /// - Throws: `.shapeMismatch` when the inner dimensions differ, `.outOfMemory`.
  package static func product(
    _ a: Matrix, _ b: Matrix, transposing: Transposed = .neither, scale: Double = 1
  ) throws(DFMergeError) -> Matrix {
    var result = try Matrix(
      rows: transposing.first ? a.columns : a.rows,
      columns: transposing.second ? b.rows : b.columns)
    try result.add(a, b, transposing: transposing, scale: scale)
    return result
  }

  /// Adds `scale * op(a) op(b)` to this matrix; as ``product(_:_:transposing:scale:)``.
  /// - Throws: `.shapeMismatch` when the dimensions do not fit, `.outOfMemory`.
  package mutating func add(
    _ a: Matrix, _ b: Matrix, transposing: Transposed = .neither, scale: Double = 1
  ) throws(DFMergeError) {
    let (transposeA, transposeB) = (transposing.first, transposing.second)
    let rows = transposeA ? a.columns : a.rows
    let columns = transposeB ? b.rows : b.columns
    let (inner, other) = (transposeA ? a.rows : a.columns, transposeB ? b.columns : b.rows)
    guard inner == other else {
      throw DFMergeError(
        .shapeMismatch,
        "A matrix with \(inner) columns cannot be multiplied by one with \(other) rows; the two "
          + "numbers must be equal.")
    }
    guard rows == self.rows, columns == self.columns else {
      throw DFMergeError(
        .shapeMismatch,
        "A product of \(rows) x \(columns) was to be added to a matrix of \(self.rows) x "
          + "\(self.columns); both must have the same shape.")
    }
    let status = withElements { out in
      DenseStatus.status { level in
        dfmd_multiply(
          level, Int64(rows), Int64(inner), Int64(columns), scale, a.elements, transposeA ? 1 : 0,
          b.elements, transposeB ? 1 : 0, out.baseAddress)
      }
    }
    try DenseStatus.check("product", status)
  }

  /// The most bytes that a product takes from the heap beside its operands and result.
  package static func productHeapBytes(rows: Int, inner: Int, columns: Int) -> Int {
    Int(dfmd_multiply_bytes(Int64(rows), Int64(inner), Int64(columns)))
  }
}
