import DFMergeCore
import DFMergeLinearAlgebra
import Testing

/// Numbers evenly spread over -1 ... 1, the same for the same seed.
func randomMatrix(_ rows: Int, _ columns: Int, seed: UInt64 = 1) throws -> Matrix {
  var state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678_9ABC_DEF1
  let elements = (0..<rows * columns).map { _ in
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return Double(Int64(bitPattern: state)) * 0x1p-63
  }
  return try Matrix(rows: rows, columns: columns, elements: elements)
}

/// A product by the definition.
func naiveProduct(_ a: Matrix, _ b: Matrix) throws -> Matrix {
  var result = try Matrix(rows: a.rows, columns: b.columns)
  for i in 0..<a.rows {
    for j in 0..<b.columns {
      result[i, j] = (0..<a.columns).reduce(0.0) { $0 + a[i, $1] * b[$1, j] }
    }
  }
  return result
}

/// The columns of `u` times `s`, times `vt`; products are tested by themselves.
func composed(_ u: Matrix, _ s: [Double], _ vt: Matrix) throws -> Matrix {
  var scaled = u
  for i in 0..<u.rows {
    for j in 0..<u.columns { scaled[i, j] *= s[j] }
  }
  return try .product(scaled, vt)
}

/// The largest difference of two matrices of one shape; infinite for others or where one is NaN.
func distance(_ a: Matrix, _ b: Matrix) -> Double {
  guard a.rows == b.rows, a.columns == b.columns else { return .infinity }
  return zip(a.elements, b.elements).reduce(0) {
    let difference = abs($1.0 - $1.1)
    return difference.isNaN ? .infinity : max($0, difference)
  }
}

/// How far the columns are from orthonormal.
func orthogonalityError(_ a: Matrix) throws -> Double {
  distance(try .product(a, a, transposing: .first), .identity(a.columns))
}

/// A matrix with orthonormal columns, by modified Gram-Schmidt, twice.
func orthonormal(_ rows: Int, _ columns: Int, seed: UInt64) throws -> Matrix {
  var q = try randomMatrix(rows, columns, seed: seed)
  for _ in 0..<2 {
    for j in 0..<columns {
      for k in 0..<j {
        let dot = (0..<rows).reduce(0.0) { $0 + q[$1, j] * q[$1, k] }
        for i in 0..<rows { q[i, j] -= dot * q[i, k] }
      }
      let norm = (0..<rows).reduce(0.0) { $0 + q[$1, j] * q[$1, j] }.squareRoot()
      for i in 0..<rows { q[i, j] /= norm }
    }
  }
  return q
}

/// A matrix with these singular values and random singular vectors.
func matrix(_ rows: Int, _ columns: Int, values: [Double], seed: UInt64 = 5) throws -> Matrix {
  try composed(
    orthonormal(rows, values.count, seed: seed), values,
    orthonormal(columns, values.count, seed: seed + 1).transposed)
}

/// Expects the error of this code.
func expectError(_ code: DFMergeError.Code, _ body: () throws -> Void) {
  do {
    try body()
    Issue.record("no error; \(code.name) was expected")
  } catch let error as DFMergeError {
    #expect(error.code == code, "\(error)")
  } catch {
    Issue.record("\(error)")
  }
}
