import DFMergeCore
import Testing

@testable import DFMergeBO

/// What must hold for any data: order of dimensions, units of the score, and hard cases.
@Suite struct ModelPropertyTests {
  private func permuted(_ data: Observations, _ order: [Int]) -> Observations {
    Observations(
      dimension: data.dimension,
      points: (0..<data.count).flatMap { i in order.map { data.point(i)[$0] } },
      values: data.values, variances: data.variances)
  }

  @Test(arguments: [2, 5, 9])
  func permutedDimensions_changeNothingButTheOrder(d: Int) throws {
    let data = scattered(25, dimension: d, seed: 3)
    let order = (0..<d).map { d - 1 - $0 }
    let other = permuted(data, order)
    var theta = (0..<d).map { -0.5 + 0.2 * Double($0) } + [0.1, -3.5]
    var gradient = [Double](repeating: 0, count: d + 2)
    let value = HierarchicalModel(data).objective(theta, &gradient)
    let scales = Array(theta[..<d])
    let noise = theta[d...]
    theta = order.map { scales[$0] } + noise
    var turned = gradient
    let same = HierarchicalModel(other).objective(theta, &turned)
    expectClose(same, value, relative: 1e-12)
    for (k, source) in order.enumerated() {
      expectClose(turned[k], gradient[source], relative: 1e-9, floor: 1)
    }

    // The prior's mode is a start that knows no order, so the same maximum is found.
    let random = CounterRandom(seed: 1, stream: 5)
    let plain = try HierarchicalModel(data).fit(random: random)
    let mirrored = try HierarchicalModel(other).fit(random: random)
    for point in [[Double](repeating: 0.3, count: d), [Double](repeating: 0.8, count: d)] {
      expectClose(mirrored.predict(point).mean, plain.predict(point).mean, relative: 0.02)
    }
  }

  @Test func powersOfTwo_giveTheSameModelBitForBit() throws {
    let data = scattered(20, dimension: 3)
    let random = CounterRandom(seed: 1, stream: 5)
    let plain = try HierarchicalModel(data).fit(random: random)
    for factor in [0x1p40, 0x1p-40] {
      let scaled = try HierarchicalModel(
        Observations(
          dimension: 3, points: data.points, values: data.values.map { factor * $0 },
          variances: data.variances)
      ).fit(random: random)
      #expect(scaled.kernel == plain.kernel && scaled.noise == plain.noise)
      let (mean, deviation) = plain.predict([0.2, 0.5, 0.9])
      #expect(scaled.predict([0.2, 0.5, 0.9]) == (factor * mean, factor * deviation))
    }
  }

  @Test func affineScores_giveTheSamePredictions() throws {
    let data = scattered(20, dimension: 3)
    let random = CounterRandom(seed: 1, stream: 5)
    let plain = try HierarchicalModel(data).fit(random: random)
    for (factor, shift) in [(1e12, 0.0), (1e-12, 0), (3, 5), (0.1, -7)] {
      let scaled = try HierarchicalModel(
        Observations(
          dimension: 3, points: data.points, values: data.values.map { factor * $0 + shift },
          variances: data.variances)
      ).fit(random: random)
      for point in [[0.2, 0.5, 0.9], [0.7, 0.1, 0.4]] {
        let (mean, deviation) = plain.predict(point)
        let other = scaled.predict(point)
        expectClose((other.mean - shift) / factor, mean, relative: 1e-5)
        expectClose(other.deviation / factor, deviation, relative: 1e-3)
      }
    }
  }

  @Test(arguments: [1, 7, 60])
  func hardData_isModelledAndSearched(d: Int) throws {
    var random = CounterRandom(seed: 4, purpose: "hard")
    let spread = (0..<12).map { _ in (0..<d).map { _ in random.uniform() } }
    let twice = spread.prefix(6) + spread.prefix(6)
    let cases: [(points: [[Double]], score: (Int) -> Double)] = [
      (spread, { _ in 0.25 }),
      (Array(twice), { Double($0 % 6) * 0.01 }),
      (Array(twice), { Double($0 % 2) }),
      (spread, { $0 == 3 ? 1e12 : 0 }),
      (spread, { 1 + 1e-12 * Double($0) }),
    ]
    for (points, score) in cases {
      let optimizer = try Optimizer(dimension: d)
      for (number, point) in points.enumerated() {
        try optimizer.record(
          Trial(number: number, point: point, origin: .initial, value: score(number)))
      }
      for _ in 0..<2 {
        let asked = try optimizer.ask()
        #expect(asked.point.count == d && asked.point.allSatisfy { (0...1).contains($0) })
        #expect(!points.contains(asked.point))
        try optimizer.tell(asked.number, value: score(asked.number))
      }
      let best = try optimizer.best()
      #expect(best.mean.isFinite && best.sd.isFinite && best.sd >= 0)
      #expect(try optimizer.lengthScales().allSatisfy { $0.isFinite && $0 > 0 })
    }
  }

  @Test func aThousandTrials_areModelledAndSearched() throws {
    // Without draws at the data, which would take five more factorisations.
    var options = OptimizerOptions.default
    options.acquisition = .logExpectedImprovement(xi: 0)
    let optimizer = try Optimizer(dimension: 2, options: options)
    var random = CounterRandom(seed: 6, purpose: "thousand")
    for number in 0..<1000 {
      let point = [random.uniform(), random.uniform()]
      try optimizer.record(
        Trial(number: number, point: point, origin: .initial, value: cliff(point)))
    }
    let asked = try optimizer.ask()
    // With so many trials the next one belongs where the best are.
    #expect(cliff(asked.point) > 0.85, "\(asked.point)")
  }
}
