import DFMergeCore
import DFMergeLinearAlgebra

/// Singular vectors of several matrices side by side, to be made orthogonal to each other.
struct StackedVectors {
  /// rows x capacity, and capacity x columns.
  private var u: Matrix
  private var vt: Matrix
  private(set) var s: [Double] = []

  init(rows: Int, columns: Int, capacity: Int) throws(DFMergeError) {
    u = try Matrix(rows: rows, columns: capacity)
    vt = try Matrix(rows: capacity, columns: columns)
  }

  /// Adds the vectors of a decomposition, as many as there is room for.
  mutating func append(_ svd: SingularValueDecomposition) {
    let first = s.count
    let count = min(svd.s.count, u.columns - first)
    guard count > 0 else { return }
    s += svd.s.prefix(count)
    let (width, columns) = (u.columns, vt.columns)
    u.withElements { u in
      for row in 0..<svd.u.rows {
        for j in 0..<count { u[row &* width &+ first &+ j] = svd.u[row, j] }
      }
    }
    vt.withElements { vt in
      for k in 0..<count &* columns { vt[first &* columns &+ k] = svd.vt.elements[k] }
    }
  }

  /// `P(U) diag(values) P(V)T`, where `P` is the orthogonal polar factor.
  func decorrelated(values: [Double]) throws(DFMergeError) -> Matrix {
    var left = try PolarFactor(u, cutoff: TSVM.cutoff).factor
    let right = try PolarFactor(vt, cutoff: TSVM.cutoff).factor
    let width = left.columns
    left.withElements { left in
      for start in stride(from: 0, to: left.count, by: max(width, 1)) {
        for j in 0..<width { left[start &+ j] *= j < values.count ? values[j] : 0 }
      }
    }
    return try .product(left, right)
  }

  /// The memory of stacking `kept` vectors in all and decorrelating them, where `decomposing`
  /// vectors come from one decomposition at a time.
  static func memory(rows: Int, columns: Int, kept: Int, decomposing: Int) -> TileMemory {
    let stacks =
      Matrix.byteCount(rows: rows, columns: kept) &+ Matrix.byteCount(rows: kept, columns: columns)
    let whole = Matrix.byteCount(rows: rows, columns: columns)
    let parts =
      Matrix.byteCount(rows: rows, columns: decomposing)
      &+ Matrix.byteCount(rows: decomposing, columns: columns)
    let stacking =
      whole &+ parts
      &+ SingularValueDecomposition.heapBytes(rows: rows, columns: columns, keeping: decomposing)
    let factors = max(
      PolarFactor.heapBytes(rows: rows, columns: kept),
      PolarFactor.heapBytes(rows: kept, columns: columns))
    let product = Matrix.productHeapBytes(rows: rows, inner: kept, columns: columns) &+ whole
    return TileMemory(heap: stacks &+ max(stacking, stacks &+ max(factors, product)))
  }
}
