import DFMergeCore
import DFMergeKernels
import DFMergeLinearAlgebra
import Testing

@Suite("Polar factor")
struct PolarTests {
  @Test(arguments: [
    (0, 0), (0, 3), (1, 1), (1, 6), (6, 1), (12, 12), (40, 41), (90, 30), (30, 90),
  ])
  func isTheProductOfTheVectors(rows: Int, columns: Int) throws {
    let a = try randomMatrix(rows, columns, seed: 3)
    let (polar, svd) = (try PolarFactor(a), try SingularValueDecomposition(a))
    #expect(polar.singularValues == svd.s)
    #expect(try distance(polar.factor, Matrix.product(svd.u, svd.vt)) < 1e-11)
  }

  @Test func orthogonalMatricesAreTheirOwnFactor() throws {
    let q = try orthonormal(50, 20, seed: 8)
    let scaled = try Matrix(rows: 50, columns: 20, elements: q.elements.map { $0 * 1e-9 })
    let polar = try PolarFactor(scaled)
    #expect(distance(polar.factor, q) < 1e-13)
    #expect(polar.singularValues.allSatisfy { abs($0 * 1e9 - 1) < 1e-13 })
  }

  @Test func theOtherFactorIsSymmetric() throws {
    // Ill-conditioned: 1 down to 1e-8.
    let values = (0..<30).reduce(into: [1.0]) { list, _ in
      list.append((list.last ?? 1) * 0.53)
    }
    let a = try matrix(60, 31, values: values)
    let polar = try PolarFactor(a)
    #expect(try orthogonalityError(polar.factor) < 1e-10)
    let rest = try Matrix.product(polar.factor.transposed, a)
    #expect(distance(rest, rest.transposed) < 1e-13)
  }

  @Test func missingDirectionsAreCompleted() throws {
    for (rows, columns) in [(30, 30), (80, 30), (30, 80)] {
      let low = try PolarFactor(matrix(rows, columns, values: [4, 1, 1]))
      let square = rows < columns ? low.factor.transposed : low.factor
      #expect(try orthogonalityError(square) < 1e-10)
      let zero = try PolarFactor(Matrix(rows: rows, columns: columns))
      #expect(try orthogonalityError(rows < columns ? zero.factor.transposed : zero.factor) < 1e-10)
      #expect(zero.singularValues.allSatisfy { $0 == 0 })
    }
  }

  @Test func aCutoffLeavesDirectionsOut() throws {
    let (u, v) = (try orthonormal(40, 5, seed: 1), try orthonormal(25, 5, seed: 2))
    let values = [3, 1, 0.5, 1e-9, 1e-10]
    let a = try composed(u, values, v.transposed)
    let kept = try composed(u, [1, 1, 1, 0, 0], v.transposed)
    #expect(try distance(PolarFactor(a, cutoff: 1e-8).factor, kept) < 1e-12)
    #expect(try distance(PolarFactor(a.transposed, cutoff: 1e-8).factor, kept.transposed) < 1e-12)
    let well = try composed(u, [3, 1, 0.5, 0.4, 0.1], v.transposed)
    #expect(
      try distance(
        PolarFactor(well, cutoff: 0.1).factor, composed(u, [1, 1, 1, 1, 0], v.transposed))
        < 1e-12)
    let nothing = try PolarFactor(Matrix(rows: 4, columns: 3), cutoff: 0)
    #expect(nothing.factor.elements.allSatisfy { $0 == 0 })
  }

  @Test func everyLevelGivesTheSameBits() throws {
    defer { CPULevel.select(CPULevel.available.last ?? .baseline) }
    let a = try randomMatrix(130, 120, seed: 6)
    let results = try CPULevel.available.map { level in
      CPULevel.select(level)
      return try PolarFactor(a).factor
    }
    #expect(results.allSatisfy { $0 == results[0] })
  }
}
