import DFMergeCore

/// A dense matrix of doubles, stored by rows: element `(i, j)` is `elements[i * columns + j]`.
///
/// Dimensions may be 0. Operations that factor or multiply are in this module's other files; they
/// run on the caller's thread, and their bits depend on the operands only.
package struct Matrix: Equatable, Sendable {
  package let rows: Int
  package let columns: Int
  /// `rows * columns` numbers.
  package private(set) var elements: [Double]

  /// A matrix of the elements given by rows.
  /// - Throws: `.shapeMismatch` when their number is not `rows * columns`, or a dimension is
  ///   negative.
  package init(rows: Int, columns: Int, elements: [Double]) throws(DFMergeError) {
    let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
    guard rows >= 0, columns >= 0, !overflow, count == elements.count else {
      throw DFMergeError(
        .shapeMismatch,
        "A matrix of \(rows) rows and \(columns) columns was given \(elements.count) elements; "
          + "give rows * columns of them.")
    }
    self.init(uncheckedRows: rows, columns: columns, elements: elements)
  }

  /// A matrix of zeros.
  /// - Throws: `.shapeMismatch` when a dimension is negative or they are too large for memory.
  package init(rows: Int, columns: Int) throws(DFMergeError) {
    let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
    guard rows >= 0, columns >= 0, !overflow, count <= Int.max / 16 else {
      throw DFMergeError(
        .shapeMismatch, "There is no matrix of \(rows) rows and \(columns) columns.")
    }
    self.init(
      uncheckedRows: rows, columns: columns, elements: [Double](repeating: 0, count: count))
  }

  init(uncheckedRows rows: Int, columns: Int, elements: [Double]) {
    self.rows = rows
    self.columns = columns
    self.elements = elements
  }

  /// The identity matrix of `size` rows; none for a negative size.
  package static func identity(_ size: Int) -> Matrix {
    let size = max(size, 0)
    var elements = [Double](repeating: 0, count: size * size)
    for i in 0..<size { elements[i * size + i] = 1 }
    return Matrix(uncheckedRows: size, columns: size, elements: elements)
  }

  /// The smaller dimension: how many singular values there are.
  package var rank: Int { min(rows, columns) }

  package subscript(row: Int, column: Int) -> Double {
    get { elements[row * columns + column] }
    set { elements[row * columns + column] = newValue }
  }

  package var transposed: Matrix {
    var result = [Double](repeating: 0, count: elements.count)
    for i in 0..<rows {
      for j in 0..<columns { result[j * rows + i] = elements[i * columns + j] }
    }
    return Matrix(uncheckedRows: columns, columns: rows, elements: result)
  }

  /// Adds the elements of a matrix of the same shape; one of another shape adds nothing.
  package mutating func add(_ other: Matrix) {
    guard rows == other.rows, columns == other.columns else { return }
    elements.withUnsafeMutableBufferPointer { own in
      other.elements.withUnsafeBufferPointer { other in
        for k in own.indices { own[k] += other[k] }
      }
    }
  }

  /// Multiplies every element; by 1, changes no bit.
  package mutating func multiply(by factor: Double) {
    withElements { own in
      for k in own.indices { own[k] *= factor }
    }
  }

  /// The bytes of a matrix's elements.
  package static func byteCount(rows: Int, columns: Int) -> Int {
    let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
    return overflow || count > Int.max / 64 ? Int.max / 8 : count * 8
  }

  /// The elements, to be changed in place.
  package mutating func withElements<Result>(
    _ body: (UnsafeMutableBufferPointer<Double>) -> Result
  ) -> Result {
    elements.withUnsafeMutableBufferPointer { body($0) }
  }
}
