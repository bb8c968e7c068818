import DFMergeCore
import DFMergeKernels
import Glibc
import Testing

/// The inputs of one Fisher-weighted merge.
struct FisherCase {
  var base: Numbers
  var models: [Numbers]
  var lower: [Numbers]
  var upper: [Numbers?]
  var fractions: [Double]
  var c: [Double]

  init(
    _ count: Int, models modelCount: Int, input: DType = .f32, base baseType: DType = .f32,
    fisher: DType = .f32, offset: Int = 0, interpolated: Bool = false
  ) {
    base = Numbers(sample(count, seed: 1), baseType, misalignment: offset)
    models = (0..<modelCount).map {
      Numbers(sample(count, seed: UInt64($0 + 20)), input, misalignment: offset)
    }
    lower = (0..<modelCount).map {
      Numbers(fisherSample(count, seed: UInt64($0 + 40)), fisher, misalignment: offset)
    }
    upper = (0..<modelCount).map {
      // Every other model lies on a node.
      interpolated && $0 % 2 == 0
        ? Numbers(fisherSample(count, seed: UInt64($0 + 60)), fisher, misalignment: offset) : nil
    }
    fractions = (0..<modelCount).map { 0.25 + 0.1 * Double($0) }
    c = (0..<modelCount).map { SumTests.coefficients[$0] }
  }

  var fishers: [FisherElements] {
    models.indices.map {
      FisherElements(
        lower: lower[$0].elements, upper: upper[$0]?.elements, fraction: fractions[$0])
    }
  }

  func fisher(_ m: Int, _ i: Int) -> Double {
    guard let high = upper[m] else { return lower[m][i] }
    return lower[m][i] + (high[i] - lower[m][i]) * fractions[m]
  }

  func merge(into out: Numbers, epsilon: Double, exponent: Double) {
    Kernels.dynamicFisherSum(
      into: out.mutable, base: base.elements, models: models.map(\.elements), fishers: fishers,
      coefficients: c, epsilon: epsilon, exponent: exponent, count: out.count)
  }

  /// The definition, one number at a time.
  func expected(epsilon: Double, exponent: Double) -> [Double] {
    (0..<base.count).map { i in
      var top = 0.0
      var bottom = 0.0
      for m in models.indices {
        let sum = fisher(m, i) + epsilon
        let weight = exponent == 1 ? sum : exponent == 0.5 ? sum.squareRoot() : pow(sum, exponent)
        top += (models[m][i] - base[i]) * c[m] * weight
        bottom += weight
      }
      return base[i] + top * Double(models.count) / bottom
    }
  }
}

@Suite("DF-Merge sum")
struct FisherTests {
  @Test(arguments: [1.0, 0.5])
  func everyLength(exponent: Double) {
    for count in 0...200 {
      let inputs = FisherCase(count, models: 3, offset: count % 2)
      let out = Numbers(room: count, .f32, misalignment: count % 2)
      inputs.merge(into: out, epsilon: 1e-12, exponent: exponent)
      expectRounded(
        out, inputs.expected(epsilon: 1e-12, exponent: exponent), "p \(exponent), \(count)")
    }
  }

  @Test(arguments: mergeable)
  func everyMixOfTypes(input: DType) {
    for base in mergeable {
      for fisher in mergeable {
        for type in mergeable {
          for interpolated in [false, true] {
            let inputs = FisherCase(
              37, models: 3, input: input, base: base, fisher: fisher, offset: 1,
              interpolated: interpolated)
            let out = Numbers(room: 37, type, misalignment: 1)
            inputs.merge(into: out, epsilon: 1e-6, exponent: 1)
            expectRounded(
              out, inputs.expected(epsilon: 1e-6, exponent: 1),
              "\(input) \(base) \(fisher) \(type) \(interpolated)")
          }
        }
      }
    }
  }

  /// Every length, with another mix of types for each.
  @Test func everyLengthWithMixedTypes() {
    for count in 0...200 {
      let types = (0..<4).map { mergeable[(count >> (2 * $0)) % 4] }
      let inputs = FisherCase(
        count, models: 3, input: types[0], base: types[1], fisher: types[2], offset: count % 3,
        interpolated: count % 5 < 2)
      for exponent in [1, 0.5] {
        let out = Numbers(room: count, types[3] == types[0] ? .bf16 : types[3], misalignment: 1)
        inputs.merge(into: out, epsilon: 1e-12, exponent: exponent)
        expectRounded(
          out, inputs.expected(epsilon: 1e-12, exponent: exponent), "p \(exponent), \(count)")
      }
    }
  }

  @Test func twoToEightModelsAndLongTensors() {
    for models in 2...8 {
      for interpolated in [false, true] {
        let inputs = FisherCase(1503, models: models, interpolated: interpolated)
        let out = Numbers(room: 1503, .f32)
        inputs.merge(into: out, epsilon: 1e-12, exponent: 1)
        expectRounded(out, inputs.expected(epsilon: 1e-12, exponent: 1), "\(models) models")
      }
    }
  }

  @Test(arguments: [0.3, 0.7, 2, 0.01, -1])
  func generalExponentIsNearTheDefinition(exponent: Double) {
    let inputs = FisherCase(900, models: 4, interpolated: true)
    let out = Numbers(room: 900, .f64)
    inputs.merge(into: out, epsilon: 1e-9, exponent: exponent)
    let expected = inputs.expected(epsilon: 1e-9, exponent: exponent)
    // A weight's error moves the merge by at most twice its share of the sum's terms.
    let bound = 2 * (2.2e-9 + 1.3e-10 * abs(exponent)) * 4 * (4 * 2.5)
    #expect((0..<900).allSatisfy { abs(out[$0] - expected[$0]) <= bound })
  }

  @Test func exponentZeroIsTheTaskVectorSum() {
    let inputs = FisherCase(333, models: 5)
    let out = Numbers(room: 333, .f32)
    inputs.merge(into: out, epsilon: 1e-12, exponent: 0)
    let plain = Numbers(room: 333, .f32)
    Kernels.taskVectorSum(
      into: plain.mutable, base: inputs.base.elements, models: inputs.models.map(\.elements),
      coefficients: inputs.c, count: 333)
    #expect(out.bytes == plain.bytes)
  }

  @Test(arguments: [1, 0.5, 0.3])
  func withoutAnyWeightModelsWeighTheSame(exponent: Double) {
    var inputs = FisherCase(50, models: 3)
    inputs.lower = inputs.lower.enumerated().map { m, numbers in
      // Elements 10 to 29 have no Fisher value in any model.
      Numbers(
        numbers.values.enumerated().map { (10..<30).contains($0) ? 0 : $1 + 0.01 }, .f32)
    }
    let out = Numbers(room: 50, .f64)
    inputs.merge(into: out, epsilon: 0, exponent: exponent)
    let plain = inputs.expected(epsilon: 1, exponent: 0)
    #expect((10..<30).allSatisfy { abs(out[$0] - plain[$0]) < 1e-14 })
    let weighted = inputs.expected(epsilon: 0, exponent: exponent)
    #expect((30..<50).allSatisfy { abs(out[$0] - weighted[$0]) < 1e-6 })
  }

  @Test func coefficientsZeroGiveTheBase() {
    var inputs = FisherCase(60, models: 3)
    inputs.c = [0, 0, 0]
    let out = Numbers(room: 60, .f32)
    inputs.merge(into: out, epsilon: 1e-12, exponent: 1)
    #expect(out.values == inputs.base.values)
  }

  @Test func fractionZeroDoesNotReadTheUpperNode() {
    var inputs = FisherCase(60, models: 2)
    let plain = Numbers(room: 60, .f32)
    inputs.merge(into: plain, epsilon: 1e-12, exponent: 1)
    inputs.fractions = [0, 0]
    inputs.upper = [Numbers([Double](repeating: .nan, count: 60), .f32), nil]
    let out = Numbers(room: 60, .f32)
    inputs.merge(into: out, epsilon: 1e-12, exponent: 1)
    #expect(out.bytes == plain.bytes)
  }

  @Test func badFisherValuesShow() {
    var inputs = FisherCase(3, models: 2)
    inputs.lower[0] = Numbers([.nan, .infinity, 1], .f32)
    let out = Numbers(room: 3, .f32)
    for exponent in [1, 0.5, 0.3] {
      inputs.merge(into: out, epsilon: 1e-12, exponent: exponent)
      #expect(out[0].isNaN && out[1].isNaN && out[2].isFinite)
    }
  }
}
