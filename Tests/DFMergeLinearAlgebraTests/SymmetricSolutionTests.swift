import DFMergeCore
import DFMergeKernels
import DFMergeLinearAlgebra
import Testing

@Suite("Symmetric systems of equations")
struct SymmetricSolutionTests {
  /// V diag(values) VT.
  private func symmetric(_ values: [Double], seed: UInt64 = 3) throws -> Matrix {
    let v = try orthonormal(values.count, values.count, seed: seed)
    return try composed(v, values, v.transposed)
  }

  @Test(arguments: [(0, 0), (0, 3), (1, 1), (5, 0), (7, 3), (31, 5), (32, 1), (33, 40), (100, 64)])
  func positiveDefinite(size: Int, columns: Int) throws {
    let values = (0..<size).map { 1 + Double($0 % 7) }
    let a = try symmetric(values)
    let x = try randomMatrix(size, columns, seed: 9)
    let b = try Matrix.product(a, x)
    #expect(try distance(.solution(symmetric: a, b), x) < 1e-12)
    // Only the lower triangle is read.
    var lower = a
    for i in 0..<size { for j in 0..<size where j > i { lower[i, j] = .nan } }
    #expect(try Matrix.solution(symmetric: lower, b) == .solution(symmetric: a, b))
  }

  @Test func indefiniteSystemsAreSolved() throws {
    let values = (0..<40).map { Double($0) - 19.5 }
    let a = try symmetric(values)
    let x = try randomMatrix(40, 6, seed: 2)
    #expect(try distance(.solution(symmetric: a, Matrix.product(a, x)), x) < 1e-11)
  }

  @Test func singularSystemsHaveTheSmallestSolution() throws {
    let values = [3, 2, 1.5, 1] + [Double](repeating: 0, count: 46)
    let inverse = values.map { $0 > 0 ? 1 / $0 : 0 }
    let (a, pseudoinverse) = (try symmetric(values), try symmetric(inverse))
    let b = try randomMatrix(50, 4, seed: 4)
    let x = try Matrix.solution(symmetric: a, b)
    #expect(try distance(x, Matrix.product(pseudoinverse, b)) < 1e-12)
    let zero = try Matrix.solution(symmetric: Matrix(rows: 50, columns: 50), b)
    #expect(zero.elements.allSatisfy { $0 == 0 })
  }

  @Test func everyLevelGivesTheSameBits() throws {
    defer { CPULevel.select(CPULevel.available.last ?? .baseline) }
    let b = try randomMatrix(90, 20)
    for values in [(0..<90).map { 1 + Double($0) }, (0..<90).map { Double($0 / 30) }] {
      let a = try symmetric(values)
      let results = try CPULevel.available.map { level in
        CPULevel.select(level)
        return try Matrix.solution(symmetric: a, b)
      }
      #expect(results.allSatisfy { $0 == results[0] })
    }
  }

  @Test func wrongOperandsAreRefused() throws {
    let square = Matrix.identity(3)
    expectError(.shapeMismatch) {
      _ = try Matrix.solution(symmetric: Matrix(rows: 3, columns: 2), square)
    }
    expectError(.shapeMismatch) {
      _ = try Matrix.solution(symmetric: square, Matrix(rows: 2, columns: 2))
    }
    var broken = square
    broken[2, 1] = .nan
    expectError(.nonFinite) { _ = try Matrix.solution(symmetric: broken, square) }
    expectError(.nonFinite) { _ = try Matrix.solution(symmetric: square, broken) }
  }
}
