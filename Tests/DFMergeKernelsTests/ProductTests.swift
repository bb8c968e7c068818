import DFMergeCore
import DFMergeKernels
import Testing

@Suite("Products of several inputs")
struct ProductTests {
  /// Small integers: their products and sums are exact in every type, in any order.
  private func integers(_ count: Int, _ step: Int, _ dtype: DType) -> Numbers {
    Numbers((0..<count).map { Double($0 * step % 17 - 8) }, dtype, misalignment: 1)
  }

  @Test(arguments: mergeable)
  func everyPairIsADotProduct(dtype: DType) {
    for count in [0, 1, 15, 16, 17, 77, 1023, 1024, 1025, 5000] {
      let inputs = [7, 5, 11].map { integers(count, $0, dtype) }
      let base = integers(count, 3, .f32)
      for origin in [nil, base] {
        let found = Kernels.gram(
          of: inputs.map(\.elements), minus: origin?.elements, count: count)
        var expected: [Double] = []
        for i in 0..<3 {
          for j in i..<3 {
            expected.append(
              (0..<count).reduce(0) { sum, k in
                let b = origin?[k] ?? 0
                return sum + (inputs[i][k] - b) * (inputs[j][k] - b)
              })
          }
        }
        #expect(found == expected, "\(count)")
      }
    }
  }

  @Test(arguments: mergeable)
  func productsOfColumnsAddUp(dtype: DType) {
    for count in [0, 1, 15, 16, 17, 77] {
      let (x, y) = (integers(count, 7, dtype), integers(count, 5, dtype))
      let base = integers(count, 3, .bf16)
      for origin in [nil, base] {
        var sums = (0..<count).map { Double($0) }
        sums.withUnsafeMutableBufferPointer { buffer in
          guard let start = buffer.baseAddress else { return }
          Kernels.accumulateProducts(
            into: start, x.elements, y.elements, minus: origin?.elements, count: count)
        }
        for k in 0..<count {
          let b = origin?[k] ?? 0
          #expect(sums[k] == Double(k) + (x[k] - b) * (y[k] - b))
        }
      }
    }
  }

  @Test(arguments: mergeable)
  func everyElementHasFactorsOfItsOwn(dtype: DType) {
    let count = 77
    let (x, y) = (integers(count, 7, dtype), integers(count, 5, dtype))
    let base = integers(count, 3, .f32)
    let factors = [2.0, -3].map { f in (0..<count).map { f * Double($0 % 5) } }
    for origin in [nil, base] {
      let out = Numbers(room: count, .f64, misalignment: 1)
      factors[0].withUnsafeBufferPointer { first in
        factors[1].withUnsafeBufferPointer { second in
          guard let first = first.baseAddress, let second = second.baseAddress else { return }
          let outcome = Kernels.scaledSum(
            into: out.mutable, base: origin?.elements, models: [x.elements, y.elements],
            factors: [first, second], count: count)
          // Negative factors are no faults.
          #expect(!outcome.hasInvalidFisher && !outcome.hasNonFinite)
        }
      }
      for k in 0..<count {
        let b = origin?[k] ?? 0
        #expect(out[k] == b + factors[0][k] * (x[k] - b) + factors[1][k] * (y[k] - b))
      }
    }
  }
}
