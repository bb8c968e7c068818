import DFMergeCore
import DFMergeKernels
import Glibc
import Testing

@Suite("Vector power")
struct VectorPowerTests {
  static let exponents = [0.3, 0.01, 0.1, 0.25, 1.0 / 3, 0.7, 0.9, 0.99, 1.5, 2, 7.25, -0.5, -1]

  /// Largest error over `values`, relative to the C library's result, less what is promised.
  private func excess(_ values: [Double], _ p: Double) -> Double {
    let power = VectorPower(exponent: p)
    var worst = -1.0
    for start in stride(from: 0, to: values.count, by: 8) {
      var x = SIMD8<Double>(repeating: 1)
      let n = min(8, values.count - start)
      for lane in 0..<n { x[lane] = values[start + lane] }
      let result = power(x)
      for lane in 0..<n {
        let exact = pow(x[lane], p)
        guard exact >= 0x1p-1022, exact.isFinite else { continue }
        let bound = 2.2e-9 + 1.3e-10 * abs(p) + abs(log(exact)) * 0x1p-52
        worst = max(worst, abs(result[lane] - exact) / exact - bound)
      }
    }
    return worst
  }

  /// A fine grid over the mantissa, both sides of every cut of the method, at several exponents.
  @Test(arguments: exponents)
  func relativeErrorOverTheMantissa(p: Double) {
    for scale in [-1000, -149, -126, -40, -21, -7, -1, 0, 1, 3, 64, 127, 900] {
      let values = (0...4096).map { scalbn(1 + Double($0) / 4096, Int32(scale)) }
      #expect(excess(values, p) <= 0, "2^\(scale)")
    }
    let root = 0.5.squareRoot()
    var near = root
    for _ in 0..<100 { near = near.nextDown }
    var cut: [Double] = []
    for _ in 0..<200 {
      cut += [near, near * 2, near * 0x1p-30]
      near = near.nextUp
    }
    #expect(excess(cut, p) <= 0)
  }

  /// Every exponent that a float can have, and every fraction that `2^y` splits off.
  @Test func relativeErrorOverTheWholeRange() {
    var random = CounterRandom(seed: 4, stream: 9)
    let values = (0..<40_000).map { _ in exp2(random.uniform() * 2040 - 1020) }
    for p in [0.3, 0.5, 0.0625, 0.8, -0.3] { #expect(excess(values, p) <= 0, "p \(p)") }
    let small = (0..<2000).map { _ in exp2(random.uniform() * 52 - 1074) }
    for p in [0.3, 0.8] { #expect(excess(small, p) <= 0, "subnormal, p \(p)") }
  }

  @Test func specialValues() {
    let values: [Double] = [0, -0.0, .infinity, .nan, -1, -.infinity, 1, .leastNonzeroMagnitude]
    let x = SIMD8<Double>(values)
    let positive = VectorPower(exponent: 0.3)(x)
    let negative = VectorPower(exponent: -0.3)(x)
    for lane in 0..<6 {
      // -0 counts as 0 and a negative number has no power, -infinity included.
      let isNegative = values[lane] < 0
      let up = isNegative ? Double.nan : pow(abs(values[lane]), 0.3)
      let down = isNegative ? Double.nan : pow(abs(values[lane]), -0.3)
      #expect(same(positive[lane], up) && same(negative[lane], down), "\(values[lane])")
    }
    #expect(abs(positive[6] - 1) < 2.2e-9)
    let tiny = pow(Double.leastNonzeroMagnitude, 0.3)
    #expect(abs(positive[7] - tiny) < 1e-8 * tiny)
  }

  @Test func resultsOutOfRange() {
    let x = SIMD8<Double>(1e-300, 1e300, 1e-100, 1e100, 1e-170, 1e153, 1e-154, 1)
    let square = VectorPower(exponent: 2)(x)
    #expect(square[0] == 0 && square[1] == .infinity)
    #expect(abs(square[2] / 1e-200 - 1) < 1e-8 && abs(square[3] / 1e200 - 1) < 1e-8)
    #expect(square[4] == 0 && abs(square[5] / 1e306 - 1) < 1e-8)
    #expect(abs(square[6] / 1e-308 - 1) < 1e-8)
  }

  /// A number's result does not depend on its neighbours, careful path or not.
  @Test func neighboursDoNotMatter() {
    let power = VectorPower(exponent: 0.37)
    for value in [0.5, 1e-12, 3e-39, 1e-300, 123.456] {
      let alone = power(SIMD8<Double>(repeating: value))
      var mixed = SIMD8<Double>(0, .infinity, .nan, -1, 0x1p-1030, 1, 2, 0)
      mixed[7] = value
      #expect(same(alone[0], power(mixed)[7]))
    }
  }
}
