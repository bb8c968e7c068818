import DFMergeCore
import Testing

@testable import DFMergeBO

@Suite struct DenseTests {
  /// A well-conditioned symmetric positive definite matrix with known entries.
  private func matrix(_ n: Int, seed: UInt64) -> [Double] {
    var random = CounterRandom(seed: seed, stream: 0)
    let b = (0..<(n * n)).map { _ in random.uniform() - 0.5 }
    var a = [Double](repeating: 0, count: n * n)
    for i in 0..<n {
      for j in 0..<n {
        for k in 0..<n { a[i * n + j] += b[i * n + k] * b[j * n + k] }
        if i == j { a[i * n + j] += 0.5 }
      }
    }
    return a
  }

  @Test(arguments: [1, 2, 3, 5, 8, 17, 33])
  func choleskyAndSolves_reproduceTheMatrix(n: Int) {
    let a = matrix(n, seed: UInt64(n))
    let factor = Scratch(a)
    defer { withExtendedLifetime(factor) {} }
    #expect(Dense.cholesky(factor.pointer, n))
    for i in 0..<n {
      for j in 0...i {
        var sum = 0.0
        for k in 0...j { sum += factor.pointer[i * n + k] * factor.pointer[j * n + k] }
        expectClose(sum, a[i * n + j], relative: 1e-13, floor: 1)
      }
    }
    // A x = b through both triangles, one right-hand side and several.
    let b = (0..<n).map { Double($0) - 1.5 }
    let x = Scratch(b)
    defer { withExtendedLifetime(x) {} }
    Dense.solveLower(factor.pointer, n, x.pointer)
    Dense.solveLowerTransposed(factor.pointer, n, x.pointer)
    let columns = 3
    let many = Scratch((0..<(n * columns)).map { b[$0 / columns] * Double($0 % columns + 1) })
    defer { withExtendedLifetime(many) {} }
    Dense.solveLower(factor.pointer, n, many.pointer, columns: columns)
    Dense.solveLowerTransposed(factor.pointer, n, many.pointer, columns: columns)
    for i in 0..<n {
      var sum = 0.0
      for j in 0..<n { sum += a[i * n + j] * x.pointer[j] }
      expectClose(sum, b[i], relative: 1e-11, floor: 1)
      for s in 0..<columns {
        expectClose(
          many.pointer[i * columns + s], x.pointer[i] * Double(s + 1), relative: 1e-11, floor: 1)
      }
    }
    let inverse = Scratch(n * n)
    let work = Scratch(n * n)
    defer { withExtendedLifetime((inverse, work)) {} }
    Dense.inverse(fromCholesky: factor.pointer, n, into: inverse.pointer, scratch: work.pointer)
    for i in 0..<n {
      for j in 0..<n {
        var sum = 0.0
        for k in 0..<n { sum += a[i * n + k] * inverse.pointer[max(k, j) * n + min(k, j)] }
        expectClose(sum, i == j ? 1 : 0, relative: 1e-11, floor: 1)
      }
    }
  }

  @Test func cholesky_refusesWhatIsNotPositiveDefinite() {
    for (values, n) in [([1, 0, 2, 1], 2), ([0], 1), ([.nan], 1), ([.infinity], 1)] {
      let matrix = Scratch(values)
      #expect(!Dense.cholesky(matrix.pointer, n), "\(values)")
      withExtendedLifetime(matrix) {}
    }
  }

  @Test func jitterLadder_factorsASingularCovarianceAndRefusesAnIndefiniteOne() throws {
    // Three copies of one point: rank one.
    let kernel = Matern52(lengthScales: [0.5], amplitude: 2)
    let factor = try Posterior.factor(
      kernel: kernel, points: [0.3, 0.3, 0.3], noise: [0, 0, 0])
    #expect(factor.pointer[8] > 0)
    let indefinite = Scratch([1, 0, 5, 1])
    #expect(throws: DFMergeError.self) { try Posterior.factor(indefinite, 2, amplitude: 1) }
  }
}
