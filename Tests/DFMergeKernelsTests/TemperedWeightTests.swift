import DFMergeCore
import DFMergeKernels
import Glibc
import Testing

/// Weights that are powers, for results of F32 and narrower: computed in float.
@Suite("Tempered weights")
struct TemperedWeightTests {
  /// The relative errors of the weights `(F + epsilon)^p`.
  ///
  /// Two models with `theta = 2 (W_1 x_1 + W_2 x_2) / (W_1 + W_2)`, of which the second has the
  /// weight 1, `x_1 = 1` and `x_2 = -W_1`: what is left of the sum is the error of `W_1`, and the
  /// result's own rounding is nothing to that.
  private func errors(
    _ fishers: [Double], _ p: Double, epsilon: Double = 0, fisher: DType = .f32
  ) -> [Double] {
    let n = fishers.count
    var inputs = FisherCase(n, models: 2)
    inputs.c = [1, 1]
    inputs.base = Numbers([Double](repeating: 0, count: n), .f64)
    inputs.lower = [
      Numbers(fishers, fisher), Numbers([Double](repeating: 1 - epsilon, count: n), fisher),
    ]
    let exact = (0..<n).map { pow(inputs.lower[0][$0] + epsilon, p) }
    inputs.models = [
      Numbers([Double](repeating: 1, count: n), .f64), Numbers(exact.map { -$0 }, .f64),
    ]
    let out = Numbers(room: n, .f32)
    inputs.merge(into: out, epsilon: epsilon, exponent: p)
    return (0..<n).map { out[$0] * (exact[$0] + 1) / (2 * exact[$0]) }
  }

  private func worst(_ errors: [Double]) -> Double {
    errors.reduce(0) { max($0, $1.isNaN ? .infinity : abs($1)) }
  }

  static let bound = 2.5e-7

  @Test(arguments: [0.3, 0.001, 0.1, 0.25, 1.0 / 3, 0.49, 0.7, 0.9, 0.999])
  func errorOverTheMantissa(p: Double) {
    for scale in [-126, -125, -60, -40, -21, -7, -1, 0, 1, 3, 64, 127] {
      let values = (0..<2048).map { scalbn(1 + Double($0) / 2048, Int32(scale)) }
      #expect(worst(errors(values, p)) <= Self.bound, "2^\(scale)")
    }
    let root = Float(0.5).squareRoot()
    let cut = (-50...50).map { (i: Int32) in
      Double(Float(bitPattern: root.bitPattern &+ UInt32(bitPattern: i)))
    }
    #expect(worst(errors(cut + cut.map { $0 * 2 } + cut.map { $0 * 0x1p-30 }, p)) <= Self.bound)
  }

  @Test func errorOverTheWholeRange() {
    var random = CounterRandom(seed: 4, stream: 9)
    let values = (0..<20_000).map { _ in exp2(random.uniform() * 253.9 - 125.9) }
    for p in [0.3, 0.0625, 0.8, 0.99] { #expect(worst(errors(values, p)) <= Self.bound, "p \(p)") }
  }

  @Test(arguments: [DType.f32, .f16, .bf16])
  func epsilonIsAdded(fisher: DType) {
    let values = fisherSample(500, seed: 5).map { $0 * 1e-4 }
    // The second weight is 1 with both: 1 less the large one is exact in every type.
    for epsilon in [1e-12, 0x1p-6] {
      let found = errors(values, 0.3, epsilon: epsilon, fisher: fisher)
      #expect(worst(found) <= Self.bound, "\(epsilon)")
    }
  }

  /// Subnormal sums, and sums of 0: what no normal float stands for.
  @Test func smallestSums() {
    let values = [0x1p-149, 0x1.8p-148, 0x1p-130, 0x1.fffffcp-127, 0x1p-126, 1, 0x1.fffffep127]
    for p in [0.3, 0.8] { #expect(worst(errors(values, p)) <= Self.bound, "p \(p)") }
    var inputs = FisherCase(2, models: 2)
    inputs.c = [1, 1]
    inputs.base = Numbers([1, 1], .f32)
    inputs.models = [Numbers([5, 5], .f32), Numbers([3, 3], .f32)]
    inputs.lower = [Numbers([0, 0], .f32), Numbers([1, 0], .f32)]
    let out = Numbers(room: 2, .f32)
    inputs.merge(into: out, epsilon: 0, exponent: 0.3)
    // The second model alone; and no weight at all, which is equal weights.
    #expect(out.values == [5, 7])
  }

  /// An element's result does not depend on its neighbours, unusual or not.
  @Test func neighboursDoNotMatter() {
    let values = [0.5, 1e-12, 1.5e-38, 1.1e-38, 3e-39, 0, 123.456]
    let alone = values.map { merged([Double](repeating: $0, count: 40))[7] }
    for neighbour in [Double.nan, .infinity, 0, 1e-40, 1] {
      var mixed = [Double](repeating: neighbour, count: 40)
      for (i, value) in values.enumerated() { mixed[i * 5 + 2] = value }
      let results = merged(mixed)
      for i in values.indices { #expect(same(results[i * 5 + 2], alone[i]), "\(values[i])") }
    }
  }

  private func merged(_ fishers: [Double]) -> [Double] {
    var inputs = FisherCase(fishers.count, models: 2)
    inputs.lower = [
      Numbers(fishers, .f32), Numbers([Double](repeating: 1, count: fishers.count), .f32),
    ]
    inputs.base = Numbers(fishers.map { _ in 0 }, .f32)
    inputs.models = [Numbers(fishers.map { _ in 1 }, .f32), Numbers(fishers.map { _ in -3 }, .f32)]
    let out = Numbers(room: fishers.count, .f32)
    inputs.merge(into: out, epsilon: 0, exponent: 0.37)
    return out.values
  }
}
