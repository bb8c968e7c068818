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

  @Test(arguments: [DType.f32, .bf16])
  func everyLength(dtype: DType) {
    for count in 0...200 { check(count, models: 3, (dtype, dtype, dtype), offset: count % 2) }
  }

  @Test func everyMixOfTypes() {
    for input in mergeable {
      for base in mergeable {
        for out in mergeable {
          for count in [1, 8, 27, 1030] {
            check(count, models: 3, (input, base, out), offset: 1)
          }
        }
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

  @Test func manyModelsShortenTheChunks() {
    let models = (0..<300).map { Numbers(sample(500, seed: UInt64($0)), .bf16) }
    let weights = sample(300, seed: 9)
    let out = Numbers(room: 500, .f32)
    Kernels.linearCombination(
      into: out.mutable, models.map(\.elements), weights: weights, count: 500)
    expectRounded(out, linear(models, weights), "300 models")
  }
}
