import DFMergeCore
import DFMergeKernels
import Testing

@Suite("Inner products")
struct DotTests {
  /// Small integers: their products and sums are exact in every type, in any order.
  private func integers(_ count: Int, _ step: Int, _ dtype: DType) -> Numbers {
    Numbers((0..<count).map { Double($0 * step % 17 - 8) }, dtype, misalignment: 1)
  }

  private func exact(_ g: Numbers, _ x: Numbers, _ b: Numbers?) -> Double {
    (0..<g.count).reduce(0) { $0 + g[$1] * (x[$1] - (b?[$1] ?? 0)) }
  }

  @Test(arguments: mergeable)
  func everyLength(dtype: DType) {
    for count in Array(0...200) + [1023, 1024, 1025, 5000] {
      let g = integers(count, 7, dtype)
      let x = integers(count, 5, dtype)
      let b = integers(count, 3, dtype)
      let product = Kernels.dot(g.elements, x.elements, minus: b.elements, count: count)
      #expect(product == exact(g, x, b), "\(count)")
      let plain = Kernels.dot(g.elements, x.elements, count: count)
      #expect(plain == exact(g, x, nil), "\(count), without base")
    }
  }

  @Test func everyMixOfTypes() {
    for first in mergeable {
      for second in mergeable {
        for third in mergeable {
          let g = integers(77, 7, first)
          let x = integers(77, 5, second)
          let b = integers(77, 3, third)
          let product = Kernels.dot(g.elements, x.elements, minus: b.elements, count: 77)
          #expect(product == exact(g, x, b), "\(first) \(second) \(third)")
        }
      }
    }
  }

  @Test func accuracyOfALongProduct() {
    let n = 100_000
    let g = Numbers(sample(n, seed: 1), .f32)
    let x = Numbers(sample(n, seed: 2), .f32)
    let b = Numbers(sample(n, seed: 3), .f32)
    // Error-free products and sums, in two parts each.
    var high = 0.0
    var low = 0.0
    var size = 0.0
    for i in 0..<n {
      let difference = x[i] - b[i]
      let product = g[i] * difference
      low += g[i].magnitude == 0 ? 0 : (-product).addingProduct(g[i], difference)
      let sum = high + product
      let part = sum - high
      low += (high - (sum - part)) + (product - part)
      high = sum
      size += abs(product)
    }
    let product = Kernels.dot(g.elements, x.elements, minus: b.elements, count: n)
    #expect(abs(product - (high + low)) < 1e-14 * size)
  }

  @Test func nanShows() {
    var values = [Double](repeating: 1, count: 100)
    values[63] = .nan
    let g = Numbers(values, .f32)
    let x = Numbers(sample(100, seed: 2), .f32)
    #expect(Kernels.dot(g.elements, x.elements, count: 100).isNaN)
    #expect(Kernels.dot(x.elements, g.elements, count: 100).isNaN)
    #expect(Kernels.dot(g.elements, x.elements, count: 63).isFinite)
  }
}
