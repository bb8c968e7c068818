import DFMergeCore
import DFMergeKernels
import DFMergeLinearAlgebra

/// OPCM's rule for what a new model adds to a matrix: nothing within the strongest directions of
/// what is there, and no more of any of the others.
struct DirectionProjection: Sendable {
  let alpha: Double
  let zeroesDiagonal: Bool

  /// The singular directions of a matrix.
  struct Directions {
    let svd: SingularValueDecomposition
    /// How many of the first are closed to each other.
    let closed: Int
    /// How many have a singular value above rounding.
    let known: Int
  }

  func directions(of matrix: Matrix) throws(DFMergeError) -> Directions {
    let svd = try SingularValueDecomposition(matrix)
    let total = svd.s.reduce(0, +)
    var sum = 0.0
    let first = svd.s.firstIndex { value in
      sum += value
      return sum / total > alpha
    }
    let rounding = Double(max(matrix.rows, matrix.columns)) * 0x1p-52 * (svd.s.first ?? 0)
    return Directions(
      svd: svd, closed: first ?? svd.s.count, known: svd.s.count { $0 > rounding })
  }

  /// `task - U Z VT`; see ``OPCM``. All of `task` where there are no directions yet.
  func outside(of directions: Directions, _ task: Matrix) throws(DFMergeError) -> Matrix {
    guard directions.known > 0 else { return task }
    let (u, vt) = (directions.svd.u, directions.svd.vt)
    let closed = min(directions.closed, directions.known)
    // Rows of UT tau, those of V, and the products of both: Z VT has the same rows as VT.
    let turned = try Matrix.product(u, task, transposing: .first)
    let first = vt.firstRows(closed)
    let block = try Matrix.product(turned.firstRows(closed), first, transposing: .second)
    var removed = try Matrix.product(block, first).withZeroRows(upTo: vt.rows)
    if zeroesDiagonal {
      for row in closed..<directions.known {
        removed.setRow(row, of: vt, scaledBy: Matrix.dot(turned, vt, row: row))
      }
    }
    var result = task
    try result.add(u, removed, scale: -1)
    return result
  }

  /// The most memory that finding the directions of a matrix and using them takes, beside the
  /// matrix itself.
  static func heapBytes(rows: Int, columns: Int) -> Int {
    let whole = Matrix.byteCount(rows: rows, columns: columns)
    let rank = min(rows, columns)
    let vectors =
      Matrix.byteCount(rows: rows, columns: rank) &+ Matrix.byteCount(rows: rank, columns: columns)
    let finding = SingularValueDecomposition.heapBytes(rows: rows, columns: columns)
    // The task vector and its copy; its turned form, the first rows of that and of V, and what is
    // removed, twice while rows are added; the block.
    let using =
      whole &* 2 &+ Matrix.byteCount(rows: rank, columns: columns) &* 5
      &+ Matrix.byteCount(rows: rank, columns: rank)
      &+ Matrix.productHeapBytes(rows: rows, inner: rank, columns: columns)
    return vectors &+ max(finding, using)
  }
}
