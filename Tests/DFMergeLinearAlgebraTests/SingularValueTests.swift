import DFMergeCore
import DFMergeKernels
import DFMergeLinearAlgebra
import Testing

@Suite("Singular value decomposition")
struct SingularValueTests {
  /// Shapes, orthonormal vectors, falling values, signs, and the matrix again.
  private func check(_ a: Matrix, _ tolerance: Double = 1e-13) throws -> [Double] {
    let svd = try SingularValueDecomposition(a)
    let (rank, largest) = (a.rank, max(svd.s.first ?? 0, .leastNormalMagnitude))
    #expect((svd.u.rows, svd.u.columns) == (a.rows, rank))
    #expect((svd.vt.rows, svd.vt.columns, svd.s.count) == (rank, a.columns, rank))
    #expect(try orthogonalityError(svd.u) < 1e-10)
    #expect(try orthogonalityError(svd.vt.transposed) < 1e-10)
    #expect(zip(svd.s, svd.s.dropFirst()).allSatisfy { $0 >= $1 && $1 >= 0 })
    #expect(try distance(composed(svd.u, svd.s, svd.vt), a) <= tolerance * largest)
    for k in 0..<rank {
      let row = (0..<a.columns).map { svd.vt[k, $0] }
      #expect(row.max { abs($0) < abs($1) } ?? 1 > 0)
    }
    return svd.s
  }

  @Test(arguments: [
    (0, 0), (0, 5), (5, 0), (1, 1), (1, 9), (9, 1), (2, 3), (7, 7), (15, 16), (16, 15), (40, 40),
    (33, 65), (65, 33), (48, 50), (101, 99), (300, 20), (20, 300), (130, 130),
  ])
  func everyShapeComesBack(rows: Int, columns: Int) throws {
    _ = try check(randomMatrix(rows, columns))
  }

  @Test func closedForms() throws {
    // [[3, 0], [4, 5]]: S = sqrt(45), sqrt(5).
    let s = try check(Matrix(rows: 2, columns: 2, elements: [3, 0, 4, 5]))
    #expect(abs(s[0] - 45.0.squareRoot()) < 1e-14 && abs(s[1] - 5.0.squareRoot()) < 1e-14)
    // A single row is its norm times a direction.
    let row = try SingularValueDecomposition(
      Matrix(rows: 1, columns: 3, elements: [2, -3, 6]))
    #expect(abs(row.s[0] - 7) < 1e-14 && row.u.elements == [1])
    #expect(zip(row.vt.elements, [2.0 / 7, -3.0 / 7, 6.0 / 7]).allSatisfy { abs($0 - $1) < 1e-15 })
    // A second difference of size n: 2 - 2 cos(k pi / (n + 1)).
    let n = 60
    var difference = try Matrix(rows: n, columns: n)
    for i in 0..<n {
      difference[i, i] = 2
      if i > 0 { difference[i, i - 1] = -1 }
      if i + 1 < n { difference[i, i + 1] = -1 }
    }
    let values = try check(difference)
    for (k, value) in values.enumerated() {
      #expect(abs(value - secondDifference(n, n - k)) < 1e-13)
    }
  }

  /// 2 - 2 cos(k pi / (n + 1)), by a recurrence of the cosine instead of the C library's.
  private func secondDifference(_ n: Int, _ k: Int) -> Double {
    // Powers of a root of unity of high order, from its series.
    let angle = Double.pi * Double(k) / Double(n + 1)
    var (term, sum) = (1.0, 1.0)
    for j in 1...40 {
      term *= -angle * angle / Double((2 * j - 1) * (2 * j))
      sum += term
    }
    return 2 - 2 * sum
  }

  @Test(arguments: [
    (50, 50), (50, 61), (90, 50), (40, 200),
  ])
  func prescribedValuesAreFound(rows: Int, columns: Int) throws {
    let rank = min(rows, columns)
    let spectra: [[Double]] = [
      (0..<rank).map { 1 + Double(rank - $0) },
      // Clusters and one value for all.
      (0..<rank).map { Double(4 - $0 * 4 / rank) },
      [Double](repeating: 3, count: rank),
      // Falling by orders of magnitude, below the rounding of the largest at the end.
      (0..<rank).reduce(into: [1.0]) { list, _ in list.append((list.last ?? 1) / 2.5) }.dropLast(),
      // Rank 3.
      [5, 2, 1e-3] + [Double](repeating: 0, count: rank - 3),
      [Double](repeating: 0, count: rank),
    ]
    for spectrum in spectra {
      let s = try check(matrix(rows, columns, values: spectrum))
      for (found, expected) in zip(s, spectrum) {
        #expect(abs(found - expected) <= 1e-13 * max(spectrum[0], 1e-300))
      }
    }
  }

  @Test(arguments: [0x1p-1062, 1e-300, 1e-30, 1e30, 1e300])
  func theScaleDoesNotMatter(scale: Double) throws {
    let a = try randomMatrix(37, 23)
    let scaled = try Matrix(rows: 37, columns: 23, elements: a.elements.map { $0 * scale })
    let (s, large) = (
      try SingularValueDecomposition(a), try SingularValueDecomposition(scaled)
    )
    // Elements near 2^-1062 have three digits.
    let tolerance = scale < 1e-305 ? 0.02 : 1e-13
    for (one, other) in zip(s.s, large.s) { #expect(abs(other / scale - one) < tolerance * s.s[0]) }
    #expect(try orthogonalityError(large.u) < 1e-10)
    #expect(distance(large.u, s.u) < tolerance * 100)
  }

  @Test func thePartHasTheLargestTerms() throws {
    for (rows, columns) in [(60, 40), (40, 60), (200, 30)] {
      let a = try randomMatrix(rows, columns)
      let all = try SingularValueDecomposition(a)
      for count in [0, 1, 7, 30, 100] {
        let part = try SingularValueDecomposition(a, keeping: count)
        let kept = min(count, a.rank)
        #expect(part.s == Array(all.s.prefix(kept)))
        for (one, other) in zip(part.vt.elements, all.vt.elements) {
          #expect(abs(one - other) < 1e-11)
        }
        for i in 0..<rows {
          for j in 0..<kept { #expect(abs(part.u[i, j] - all.u[i, j]) < 1e-11) }
        }
      }
    }
  }

  @Test func everyLevelGivesTheSameBits() throws {
    defer { CPULevel.select(CPULevel.available.last ?? .baseline) }
    for (rows, columns) in [(150, 140), (40, 300)] {
      for values in [nil, [3.0, 3, 1, 0]] {
        let a =
          try values.map { try matrix(rows, columns, values: $0) } ?? randomMatrix(rows, columns)
        CPULevel.select(.baseline)
        let baseline = try SingularValueDecomposition(a)
        for level in CPULevel.available {
          CPULevel.select(level)
          let other = try SingularValueDecomposition(a)
          #expect(other.u == baseline.u && other.s == baseline.s && other.vt == baseline.vt)
        }
      }
    }
  }

  @Test(arguments: [Double.nan, .infinity, -.infinity])
  func numbersThatAreNotFiniteAreRefused(value: Double) throws {
    var a = try randomMatrix(5, 4)
    a[3, 2] = value
    expectError(.nonFinite) { _ = try SingularValueDecomposition(a) }
    expectError(.nonFinite) { _ = try PolarFactor(a) }
    // Finite elements, but a singular value of 2e308.
    let huge = try Matrix(rows: 2, columns: 2, elements: [1e308, 1e308, 1e308, 1e308])
    expectError(.nonFinite) { _ = try SingularValueDecomposition(huge) }
  }

  @Test func heapIsReckonedWithoutOverflow() {
    let small = SingularValueDecomposition.heapBytes(rows: 768, columns: 768)
    #expect(small > 10 * 768 * 768 * 8 && small < 13 * 768 * 768 * 8)
    #expect(SingularValueDecomposition.heapBytes(rows: .max / 2, columns: .max / 2) > 1 << 55)
  }
}
