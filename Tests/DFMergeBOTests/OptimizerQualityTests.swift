import DFMergeCore
import Testing

@testable import DFMergeBO

/// The optimiser finds what it should within a fixed number of trials, and far sooner than random
/// points.
@Suite struct OptimizerQualityTests {
  /// Branin on the unit square, negated: maximum -0.397887 at three points.
  static func branin(_ u: [Double]) -> Double {
    let x = 15 * u[0] - 5
    let y = 15 * u[1]
    let a = y - 5.1 / (4 * Double.pi * Double.pi) * x * x + 5 / Double.pi * x - 6
    return -(a * a + 10 * (1 - 1 / (8 * Double.pi)) * scalarCos(x) + 10)
  }

  /// Hartmann's function in three dimensions: maximum 3.86278.
  static func hartmann(_ x: [Double]) -> Double {
    let a = [[3.0, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]]
    let p = [
      [0.3689, 0.1170, 0.2673], [0.4699, 0.4387, 0.7470], [0.1091, 0.8732, 0.5547],
      [0.0381, 0.5743, 0.8828],
    ]
    let c = [1.0, 1.2, 3.0, 3.2]
    var sum = 0.0
    for i in 0..<4 {
      var exponent = 0.0
      for k in 0..<3 {
        let u = x[k] - p[i][k]
        exponent += a[i][k] * u * u
      }
      sum += c[i] * scalarExp(-exponent)
    }
    return sum
  }

  private func best(
    _ preset: OptimizerOptions, seed: UInt64, dimension: Int, trials: Int,
    _ score: ([Double]) -> Double
  ) throws -> Double {
    var options = preset
    options.seed = seed
    options.initial = 6
    let optimizer = try run(Optimizer(dimension: dimension, options: options), trials, score)
    return try optimizer.best(by: .observed).value
  }

  private func random(
    seed: UInt64, dimension: Int, trials: Int, _ score: ([Double]) -> Double
  ) -> Double {
    var random = CounterRandom(seed: seed, purpose: "random search")
    return (0..<trials).map { _ in score((0..<dimension).map { _ in random.uniform() }) }.max() ?? 0
  }

  @Test(arguments: [0, 1] as [UInt64])
  func branin_within25Trials(seed: UInt64) throws {
    let found = try best(
      .default, seed: seed, dimension: 2, trials: 25, OptimizerQualityTests.branin)
    #expect(found > -0.45, "\(found)")
    #expect(
      found > random(seed: seed, dimension: 2, trials: 25, OptimizerQualityTests.branin))
  }

  @Test(arguments: [0, 1] as [UInt64])
  func hartmann_within30Trials(seed: UInt64) throws {
    let found = try best(
      .default, seed: seed, dimension: 3, trials: 30, OptimizerQualityTests.hartmann)
    #expect(found > 3.75, "\(found)")
    #expect(
      found > random(seed: seed, dimension: 3, trials: 30, OptimizerQualityTests.hartmann))
  }

  @Test(arguments: [0, 1] as [UInt64])
  func quantisedCliff_within25Trials(seed: UInt64) throws {
    // Maximum 0.9 in a region that random points of the cube hit once in some hundreds.
    let found = try best(.default, seed: seed, dimension: 4, trials: 25, cliff)
    #expect(found > 0.88, "\(found)")
    #expect(found > random(seed: seed, dimension: 4, trials: 25, cliff))
  }

  @Test func paperPreset_findsBranin() throws {
    let found = try best(
      .paper, seed: 1, dimension: 2, trials: 30, OptimizerQualityTests.branin)
    #expect(found > -1, "\(found)")
  }

  @Test func noisyScores_theRecommendedPointIsGood() throws {
    // Accuracy on 200 examples: binomial noise whose variance the host gives.
    var options = OptimizerOptions.default
    options.seed = 2
    options.initial = 6
    let optimizer = try Optimizer(dimension: 2, options: options)
    var noise = CounterRandom(seed: 9, purpose: "noise")
    for _ in 0..<25 {
      let suggestion = try optimizer.ask()
      let p = cliff(suggestion.point)
      let observed = p + (p * (1 - p) / 200).squareRoot() * SpaceFilling.normal(&noise)
      try optimizer.tell(suggestion.number, value: observed, variance: p * (1 - p) / 200)
    }
    let recommended = try optimizer.best(by: .posteriorMean)
    #expect(cliff(recommended.point) > 0.87, "\(recommended)")
  }
}
