import Testing

@testable import DFMergeBO

@Suite struct BoundedLBFGSTests {
  private let search = BoundedLBFGS(
    gradientTolerance: 1e-9, valueTolerance: 0, maximumIterations: 500)

  private func rosenbrock(_ x: [Double], _ g: inout [Double]) -> Double {
    var value = 0.0
    for k in g.indices { g[k] = 0 }
    for k in 0..<(x.count - 1) {
      let a = x[k + 1] - x[k] * x[k]
      let b = 1 - x[k]
      value += 100 * a * a + b * b
      g[k] += -400 * a * x[k] - 2 * b
      g[k + 1] += 200 * a
    }
    return value
  }

  @Test(arguments: [2, 5, 10])
  func rosenbrock_unconstrained(d: Int) {
    let start = (0..<d).map { $0 % 2 == 0 ? -1.2 : 1.0 }
    let found = search.minimise(
      from: start, lower: .init(repeating: -5, count: d), upper: .init(repeating: 5, count: d)
    ) { x, g in rosenbrock(x, &g) }
    // Dimensions above 3 have a second minimum near (-1, 1, ..., 1); this start leads to the first.
    #expect(found.value < 1e-12, "\(found)")
    #expect(found.evaluations < 400)
  }

  @Test func rosenbrock_withActiveBound() {
    // x0 <= 0.5 holds the minimum at (0.5, 0.25), value 0.25.
    let found = search.minimise(from: [-1.2, 1], lower: [-2, -2], upper: [0.5, 2]) { x, g in
      rosenbrock(x, &g)
    }
    #expect(found.x[0] == 0.5)
    expectClose(found.x[1], 0.25, relative: 1e-7)
    expectClose(found.value, 0.25, relative: 1e-10)
  }

  @Test func quadratic_projectsOntoTheBox() {
    // A separable quadratic's constrained minimum is its centre clipped to the box.
    let centre = [-3.0, 0.2, 0.7, 9.0, 0.5, -0.1]
    let weights = [1.0, 1e3, 1e-2, 5.0, 1e2, 1e4]
    let found = search.minimise(
      from: .init(repeating: 0.9, count: 6), lower: .init(repeating: 0, count: 6),
      upper: .init(repeating: 1, count: 6)
    ) { x, g in
      var value = 0.0
      for k in 0..<6 {
        value += 0.5 * weights[k] * (x[k] - centre[k]) * (x[k] - centre[k])
        g[k] = weights[k] * (x[k] - centre[k])
      }
      return value
    }
    for k in 0..<6 { expectClose(found.x[k], min(max(centre[k], 0), 1), relative: 1e-6, floor: 1) }
  }

  @Test func coupledQuadratic_withActiveBounds_meetsTheOptimalityConditions() {
    // f = ½ xᵀ A x - bᵀ x with A tridiagonal; checked by its Karush-Kuhn-Tucker conditions.
    let d = 8
    let b = (0..<d).map { $0 % 3 == 0 ? 1.2 : -0.4 }
    func gradient(_ x: [Double]) -> [Double] {
      (0..<d).map { i in
        2.1 * x[i] - (i > 0 ? x[i - 1] : 0) - (i + 1 < d ? x[i + 1] : 0) - b[i]
      }
    }
    let found = search.minimise(
      from: .init(repeating: 0.5, count: d), lower: .init(repeating: 0, count: d),
      upper: .init(repeating: 1, count: d)
    ) { x, g in
      g = gradient(x)
      return zip(x, zip(g, b)).reduce(0) { $0 + 0.5 * $1.0 * ($1.1.0 - $1.1.1) }
    }
    let g = gradient(found.x)
    var active = 0
    for k in 0..<d {
      if found.x[k] == 0 {
        #expect(g[k] >= -1e-7)
        active += 1
      } else if found.x[k] == 1 {
        #expect(g[k] <= 1e-7)
        active += 1
      } else {
        #expect(abs(g[k]) < 1e-6)
      }
    }
    #expect(active > 0 && active < d)
  }

  @Test func startOutsideTheBox_isClipped_andNonFiniteRegionsAreAvoided() {
    // ln x is not finite at 0: f = x - ln x has its minimum at 1.
    let found = search.minimise(from: [50], lower: [0], upper: [10]) { x, g in
      g[0] = x[0] > 0 ? 1 - 1 / x[0] : 0
      return x[0] > 0 ? x[0] - scalarLog(x[0]) : .nan
    }
    expectClose(found.x[0], 1, relative: 1e-6)
    let nowhere = search.minimise(from: [0.5], lower: [0], upper: [1]) { _, _ in .infinity }
    #expect(nowhere.x == [0.5])
    #expect(nowhere.value == .infinity)
  }

  @Test func flatFunction_staysAtTheStart() {
    let found = search.minimise(from: [0.25, 0.75], lower: [0, 0], upper: [1, 1]) { _, g in
      g = [0, 0]
      return 3
    }
    #expect(found.x == [0.25, 0.75])
    #expect(found.iterations == 0)
  }
}
