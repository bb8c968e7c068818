import DFMergeCore
import DFMergeKernels

// Rows, which lie in memory one after the other. Rows that a matrix does not have are left out.
extension Matrix {
  /// The first `count` rows.
  package func firstRows(_ count: Int) -> Matrix {
    let count = min(max(count, 0), rows)
    return Matrix(
      uncheckedRows: count, columns: columns, elements: Array(elements[0..<count &* columns]))
  }

  /// The same rows and zeros after them, `count` rows in all.
  package func withZeroRows(upTo count: Int) throws(DFMergeError) -> Matrix {
    var result = try Matrix(rows: max(count, rows), columns: columns)
    result.withElements { own in
      for k in elements.indices { own[k] = elements[k] }
    }
    return result
  }

  /// Replaces a row by the same row of a matrix with as many columns, times `factor`.
  package mutating func setRow(_ row: Int, of other: Matrix, scaledBy factor: Double) {
    guard row >= 0, row < rows, row < other.rows, columns == other.columns else { return }
    let (columns, start) = (columns, row &* columns)
    withElements { own in
      other.elements.withUnsafeBufferPointer { other in
        for k in start..<start &+ columns { own[k] = factor * other[k] }
      }
    }
  }

  /// The scalar product of the same row of two matrices with as many columns.
  package static func dot(_ a: Matrix, _ b: Matrix, row: Int) -> Double {
    guard row >= 0, row < a.rows, row < b.rows, a.columns == b.columns else { return 0 }
    let (columns, start) = (a.columns, row &* a.columns)
    return a.withNumbers { a in
      b.withNumbers { b in
        Kernels.dot(a.advanced(by: start), b.advanced(by: start), count: columns)
      } ?? 0
    } ?? 0
  }

  /// The elements for kernels; nil where there are none.
  package func withNumbers<Result>(_ body: (Elements) -> Result) -> Result? {
    elements.withUnsafeBytes { bytes in
      bytes.baseAddress.map { body(Elements(pointer: $0, dtype: .f64)) }
    }
  }
}
