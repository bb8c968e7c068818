import DFMergeCore
import DFMergeKernels
import Testing

@Suite("Weighted sums")
struct SumTests {
  static let coefficients = [0.3, -1.25, 0, 1, 2.5, 0.1, -0.7, 0.9]

  private func linear(_ models: [Numbers], _ c: [Double]) -> [Double] {
    (0..<(models.first?.count ?? 0)).map { i in
      var total = 0.0
      for m in models.indices { total += models[m][i] * c[m] }
      return total
    }
  }

  private func taskVectors(_ base: Numbers, _ models: [Numbers], _ c: [Double]) -> [Double] {
    (0..<base.count).map { i in
      var total = 0.0
      for m in models.indices { total += (models[m][i] - base[i]) * c[m] }
      return base[i] + total
    }
  }

  /// Runs both sums and compares every element with the reference.
  private func check(_ count: Int, models: Int, _ types: (DType, DType, DType), offset: Int) {
    let x = (0..<models).map {
      // Every third model has the base's type, so that types mix within a call too.
      Numbers(
        sample(count, seed: UInt64($0 + 10)), $0 % 3 == 2 ? types.1 : types.0,
        misalignment: offset)
    }
    let base = Numbers(sample(count, seed: 5), types.1, misalignment: offset)
    // One model is given a coefficient that is not 1, for 1 is a case of its own.
    let c = Array(Self.coefficients[..<models])
    let out = Numbers(room: count, types.2, misalignment: offset)
    Kernels.linearCombination(
      into: out.mutable, x.map(\.elements), weights: c, count: count)
    expectRounded(out, linear(x, c), "linear \(types) \(count) x\(models)")
    let merged = Numbers(room: count, types.2, misalignment: offset)
    Kernels.taskVectorSum(
      into: merged.mutable, base: base.elements, models: x.map(\.elements), coefficients: c,
      count: count)
    expectRounded(merged, taskVectors(base, x, c), "task vectors \(types) \(count) x\(models)")
  }

  @Test(arguments: mergeable)
  func everyLength(dtype: DType) {
    for count in 0...200 { check(count, models: 3, (dtype, dtype, dtype), offset: count % 2) }
  }

  /// Every mix at lengths around whole steps, and with every rest between them.
  @Test(arguments: mergeable)
  func everyMixOfTypes(input: DType) {
    for base in mergeable {
      for out in mergeable {
        for count in Array(1...17) + [27, 32, 33, 200] {
          check(count, models: 3, (input, base, out), offset: 1)
        }
      }
    }
  }

  /// Every length, with another mix for each.
  @Test func everyLengthWithMixedTypes() {
    for count in 0...200 {
      let types = (mergeable[count % 4], mergeable[count / 4 % 4], mergeable[count / 16 % 4])
      check(count, models: 3, types, offset: count % 3)
    }
  }

  /// Results that are subnormal, 0, -0 and too large, side by side with ordinary ones.
  @Test(arguments: mergeable)
  func extremesBesideOrdinaryNumbers(dtype: DType) {
    let extremes: [Double] = [
      0, -0.0, 0x1p-133, -0x1.8p-134, 0x1p-24, 0x1.8p-25, -6e-5, 65503.9, 65519.9, 65520, 0x1p127,
      -0x1.ffp127, 3.4e38, 1e300, -1e-300, .infinity, .nan, 0x1.01p0, 0x1.03p0, 0x1.006p0,
    ]
    for count in [1, 16, 20, 40, 77] {
      for shift in 0..<extremes.count {
        var values = sample(count, seed: 3)
        values[shift * 7 % count] = extremes[shift]
        values[shift * 3 % count] = extremes[(shift + 5) % extremes.count]
        let x = Numbers(values, .f64)
        let out = Numbers(room: count, dtype)
        Kernels.linearCombination(
          into: out.mutable, [x.elements, x.elements], weights: [0.5, 0.5], count: count)
        expectRounded(out, linear([x, x], [0.5, 0.5]), "\(shift), \(count)")
      }
    }
  }

  @Test func oneToEightModels() {
    for models in 1...8 { check(77, models: models, (.f32, .f32, .f32), offset: 0) }
  }

  @Test func oneModelOfCoefficientOneIsThatModel() {
    for dtype in mergeable {
      // Values that base + (x - base) would round away, and a zero that it would turn positive.
      let model = Numbers([-0.0, 1e-5, 3, .infinity, 6e-8], dtype)
      let base = Numbers([1, 60000, -1e4, 2, 1000], dtype)
      for call in 0..<3 {
        let out = Numbers(room: 5, dtype)
        if call == 0 {
          Kernels.linearCombination(
            into: out.mutable, [model.elements], weights: [1], count: 5)
        } else if call == 1 {
          Kernels.taskVectorSum(
            into: out.mutable, base: base.elements, models: [model.elements], coefficients: [1],
            count: 5)
        } else {
          Kernels.dynamicFisherSum(
            into: out.mutable, base: base.elements, models: [model.elements],
            fishers: [FisherElements(lower: base.elements)], coefficients: [1], epsilon: 1e-12,
            exponent: 0.5, count: 5)
        }
        #expect(out.bytes == model.bytes, "\(dtype.name), call \(call)")
      }
    }
  }

  @Test func noModels() {
    let base = Numbers([1, -2, 3], .f32)
    let out = Numbers(room: 3, .f32)
    Kernels.taskVectorSum(
      into: out.mutable, base: base.elements, models: [], coefficients: [], count: 3)
    #expect(out.values == [1, -2, 3])
    Kernels.linearCombination(into: out.mutable, [], weights: [], count: 3)
    #expect(out.values == [0, 0, 0])
  }

  @Test func specialValuesFollowIEEE() {
    let x = Numbers([.infinity, .nan, 1e-42, 3e38, -3e38, 65504, 0, 1], .f32)
    let y = Numbers([-.infinity, 1, 1e-43, 3e38, -3e38, 65504, -0.0, .infinity], .f32)
    for dtype in mergeable {
      let out = Numbers(room: 8, dtype)
      Kernels.linearCombination(
        into: out.mutable, [x.elements, y.elements], weights: [1, 1], count: 8)
      expectRounded(out, linear([x, y], [1, 1]), dtype.name)
      #expect(out[0].isNaN && out[1].isNaN && out[7] == .infinity)
      if dtype != .f64 { #expect(out[3] == .infinity && out[4] == -.infinity) }
    }
  }

  @Test func manyModels() {
    let models = (0..<300).map { Numbers(sample(500, seed: UInt64($0)), .bf16) }
    let weights = sample(300, seed: 9)
    let out = Numbers(room: 500, .f32)
    Kernels.linearCombination(
      into: out.mutable, models.map(\.elements), weights: weights, count: 500)
    expectRounded(out, linear(models, weights), "300 models")
  }
}
