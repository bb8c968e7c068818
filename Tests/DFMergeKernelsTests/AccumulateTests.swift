import DFMergeCore
import DFMergeKernels
import Testing

@Suite("Accumulation and checks")
struct AccumulateTests {
  /// An array of floats at an odd address, which the compiler would not make.
  private func withFloats(
    _ values: [Double], _ body: (UnsafeMutablePointer<Float>, Numbers) -> Void
  ) {
    let numbers = Numbers(values, .f32, misalignment: 4)
    body(numbers.mutable.pointer.assumingMemoryBound(to: Float.self), numbers)
    #expect(numbers.isIntact)
  }

  @Test(arguments: mergeable)
  func everyLength(dtype: DType) {
    for count in Array(0...200) + [1029, 2048] {
      let start = sample(count, seed: 1)
      let values = Numbers(sample(count, seed: 2, scale: 3), dtype, misalignment: 1)
      withFloats(start) { acc, numbers in
        Kernels.accumulateSquares(
          into: acc, gradient: values.elements, weight: 0.37, count: count)
        let isRight = (0..<count).allSatisfy {
          let term = values[$0] * values[$0] * 0.37
          return numbers[$0] == Double(Float(Double(Float(start[$0])) + term))
        }
        #expect(isRight, "squares, \(count)")
      }
      withFloats(start) { acc, numbers in
        Kernels.accumulate(into: acc, values: values.elements, weight: -1.5, count: count)
        let isRight = (0..<count).allSatisfy {
          numbers[$0] == Double(Float(Double(Float(start[$0])) + values[$0] * -1.5))
        }
        #expect(isRight, "values, \(count)")
      }
    }
  }

  @Test(arguments: mergeable)
  func sumOfSquaresIsExactForSmallIntegers(dtype: DType) {
    for count in Array(0...200) + [1023, 1024, 1025, 5000] {
      // Integers up to 8 and their sums are exact in every type used, in any order.
      let values = (0..<count).map { Double(($0 * 7) % 17 - 8) }
      let numbers = Numbers(values, dtype, misalignment: 1)
      let exact = values.reduce(0) { $0 + $1 * $1 }
      #expect(Kernels.sumOfSquares(numbers.elements, count: count) == exact, "\(count)")
    }
  }

  @Test func sumOfSquaresIsAccurate() {
    // 0.1 in float, a hundred thousand times: adding one by one in float would be off by 1e-4.
    let numbers = Numbers([Double](repeating: 0.1, count: 100_000), .f32)
    let exact = Double(Float(0.1)) * Double(Float(0.1)) * 100_000
    let sum = Kernels.sumOfSquares(numbers.elements, count: 100_000)
    #expect(abs(sum - exact) < 1e-12 * exact)
  }

  @Test(arguments: mergeable)
  func firstBadElementIsFound(dtype: DType) {
    for count in [1, 7, 8, 9, 100, 1024, 1100] {
      let good = fisherSample(count, seed: 3)
      let numbers = Numbers(good, dtype, misalignment: 1)
      #expect(Kernels.firstNonFinite(numbers.elements, count: count) == nil)
      #expect(Kernels.firstNegativeOrNonFinite(numbers.elements, count: count) == nil)
      for place in Set([0, count / 2, count - 1]) {
        for bad in [Double.nan, .infinity, -.infinity, -1e-3] {
          var values = good
          values[place] = bad
          // A second one behind it is not the answer.
          values[count - 1] = bad
          let broken = Numbers(values, dtype, misalignment: 1)
          let expected = bad.isFinite ? nil : place
          #expect(Kernels.firstNonFinite(broken.elements, count: count) == expected)
          #expect(Kernels.firstNegativeOrNonFinite(broken.elements, count: count) == place)
        }
      }
    }
  }

  @Test func zerosOfBothSignsAndExtremesAreGood() {
    let numbers = Numbers(
      [0, -0.0, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 1, 1, 1, 1, 1], .f64)
    #expect(Kernels.firstNegativeOrNonFinite(numbers.elements, count: 9) == nil)
    #expect(Kernels.firstNonFinite(numbers.elements, count: 9) == nil)
    #expect(Kernels.firstNonFinite(numbers.elements, count: 0) == nil)
  }
}
