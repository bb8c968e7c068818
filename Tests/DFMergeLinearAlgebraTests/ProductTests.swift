import DFMergeCore
import DFMergeKernels
import DFMergeLinearAlgebra
import Testing

@Suite("Matrices and products")
struct ProductTests {
  @Test(arguments: [
    (0, 0, 0), (0, 3, 2), (3, 0, 2), (3, 2, 0), (1, 1, 1), (1, 7, 1), (5, 1, 9), (7, 5, 3),
    (24, 16, 8), (25, 17, 9), (65, 300, 33), (200, 3, 10), (3, 257, 961),
  ])
  func everyTranspositionIsTheDefinition(rows: Int, inner: Int, columns: Int) throws {
    let a = try randomMatrix(rows, inner, seed: 1)
    let b = try randomMatrix(inner, columns, seed: 2)
    let exact = try naiveProduct(a, b)
    let tolerance = 1e-14 * Double(max(inner, 1))
    let products = try [
      Matrix.product(a, b), .product(a.transposed, b, transposing: .first),
      .product(a, b.transposed, transposing: .second),
      .product(a.transposed, b.transposed, transposing: .both),
    ]
    for product in products { #expect(distance(product, exact) <= tolerance) }

    var sum = try randomMatrix(rows, columns, seed: 3)
    let before = sum
    try sum.add(a, b, scale: -0.5)
    for (k, value) in sum.elements.enumerated() {
      #expect(abs(value - (before.elements[k] - 0.5 * exact.elements[k])) <= tolerance)
    }
  }

  @Test func everyLevelGivesTheSameBits() throws {
    defer { CPULevel.select(CPULevel.available.last ?? .baseline) }
    let a = try randomMatrix(201, 300, seed: 4)
    let b = try randomMatrix(300, 77, seed: 5)
    CPULevel.select(.baseline)
    let baseline = try Matrix.product(a, b)
    for level in CPULevel.available {
      CPULevel.select(level)
      #expect(try Matrix.product(a, b) == baseline)
    }
  }

  @Test func elementsThatAreNotFiniteSpreadAsSumsDo() throws {
    var a = try randomMatrix(9, 4)
    a[2, 1] = .infinity
    a[5, 0] = .nan
    let product = try Matrix.product(a, .identity(4))
    #expect(product[5, 0].isNaN && product[5, 3].isNaN)
    // Infinity times the zeros of the identity.
    #expect(product[2, 0].isNaN && product[2, 1] == .infinity)
    #expect(product[0, 0] == a[0, 0])
  }

  @Test func shapesAreChecked() throws {
    let (a, b) = (try Matrix(rows: 2, columns: 3), try Matrix(rows: 2, columns: 3))
    expectError(.shapeMismatch) { _ = try Matrix.product(a, b) }
    expectError(.shapeMismatch) {
      var c = try Matrix(rows: 3, columns: 2)
      try c.add(a, b, transposing: .second)
    }
    expectError(.shapeMismatch) { _ = try Matrix(rows: 2, columns: 2, elements: [1, 2, 3]) }
    expectError(.shapeMismatch) { _ = try Matrix(rows: -1, columns: -1, elements: [1]) }
    expectError(.shapeMismatch) { _ = try Matrix(rows: .max, columns: 2) }
    #expect(a.transposed.rows == 3)
    #expect(Matrix.identity(-1).elements.isEmpty)
  }
}
