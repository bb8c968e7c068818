import DFMergeCore
import DFMergeKernels
import Testing

@Suite("Order statistics of magnitudes")
struct MagnitudeTests {
  /// `|tau|` by the definition: a float, unless an operand is F64.
  static func magnitudes(_ model: Numbers, _ base: Numbers) -> [Double] {
    (0..<model.count).map { i in
      if model.dtype == .f64 || base.dtype == .f64 { return abs(model[i] - base[i]) }
      return Double(abs(Float(model[i]) - Float(base[i])))
    }
  }

  /// The `rank`-th largest by sorting; NaN sorts as 0.
  static func kthLargest(_ rank: Int, _ magnitudes: [Double]) -> Double {
    if rank <= 0 { return .infinity }
    if rank >= magnitudes.count { return 0 }
    return magnitudes.map { $0.isNaN ? 0 : $0 }.sorted(by: >)[rank - 1]
  }

  /// The threshold by counting, with the elements cut at `cuts` into a histogram each.
  static func count(
    rank: Int, _ parts: [(model: Numbers, base: Numbers)], isWide: Bool, cuts: [Int] = []
  ) -> (threshold: Double?, reads: Int, undefined: Int) {
    let total = parts.reduce(0) { $0 + $1.model.count }
    var selection = MagnitudeSelection(rank: rank, of: total, isWide: isWide)
    var reads = 0
    var undefined = 0
    while let digit = selection.digit {
      let sum = MagnitudeHistogram(digit)
      for (model, base) in parts {
        var start = 0
        for end in cuts.filter({ $0 < model.count }) + [model.count] {
          let histogram = MagnitudeHistogram(digit)
          histogram.count(
            model.elements.advanced(by: start), base: base.elements.advanced(by: start),
            count: end - start)
          sum.add(histogram)
          start = end
        }
      }
      selection.narrow(by: sum)
      undefined = sum.undefined
      reads += 1
    }
    return (selection.threshold, reads, undefined)
  }

  private func check(_ model: Numbers, _ base: Numbers, ranks: [Int], _ comment: String) {
    let expected = Self.magnitudes(model, base)
    let isWide = model.dtype == .f64 || base.dtype == .f64
    for rank in ranks {
      let right = Self.kthLargest(rank, expected)
      // Two million counters take their time without optimisation: of F64, some cases.
      if !isWide || model.count % 50 == 16 {
        let (counted, reads, _) = Self.count(
          rank: rank, [(model, base)], isWide: isWide, cuts: isWide ? [17] : [1, 17, 64])
        #expect(counted == right, "\(comment), rank \(rank)")
        #expect(reads <= (isWide ? 3 : 2))
      }
      let direct = Kernels.largestMagnitudes(
        [rank], model.elements, base: base.elements, count: model.count)
      #expect(direct.thresholds[0] == right, "\(comment), rank \(rank), directly")
      #expect(direct.undefined == 0)
    }
  }

  @Test(arguments: mergeable)
  func everyLength(dtype: DType) {
    for count in 0...200 {
      let model = Numbers(sample(count, seed: 3), dtype, misalignment: count % 2)
      let base = Numbers(sample(count, seed: 4), dtype, misalignment: 1)
      check(model, base, ranks: [1, count / 2, count], "\(dtype) \(count)")
    }
  }

  @Test func everyMixOfTypes() {
    for input in mergeable {
      for base in mergeable {
        let model = Numbers(sample(1116, seed: 5), input, misalignment: 1)
        let from = Numbers(sample(1116, seed: 6), base, misalignment: 1)
        check(model, from, ranks: [-1, 0, 1, 37, 1115, 1116, 1117], "\(input) \(base)")
      }
    }
  }

  @Test(arguments: mergeable)
  func tiesZerosAndExtremes(dtype: DType) {
    let tiny = dtype == .f64 ? Double.leastNonzeroMagnitude : dtype == .f16 ? 0x1p-24 : 0x1p-133
    let values = [0, -0.0, 1, -1, 1, 1, tiny, -tiny, 6e4, -6e4, 0, 1, .infinity, 0.5, 0, 3]
    let model = Numbers(values, dtype)
    let base = Numbers([Double](repeating: 0, count: values.count), dtype)
    check(model, base, ranks: [0, 1, 2, 3, 8, 12, 13, 16], dtype.name)
  }

  @Test func differencesAreRoundedToFloatsUnlessAnOperandIsDouble() {
    // 1 + 2^-30 - (-1) is 2 in float arithmetic.
    let model = Numbers([1, 0x1p-30, 0.25], .f32)
    let base = Numbers([0x1p-30, 1, 0], .f32)
    #expect(
      Kernels.largestMagnitudes(
        [1], model.elements, base: base.elements, count: 3
      ).thresholds[0]
        == 1)
    let wide = Numbers([1, 0x1p-30, 0.25], .f64)
    #expect(
      Kernels.largestMagnitudes(
        [1], wide.elements, base: base.elements, count: 3
      ).thresholds[0]
        == 1 - 0x1p-30)
  }

  /// A model with an F64 tensor: its other tensors keep their float differences.
  @Test func tensorsOfSeveralTypesHaveOneOrder() {
    let narrow = (
      model: Numbers(sample(700, seed: 1), .bf16), base: Numbers(sample(700, seed: 2), .f32)
    )
    let wide = (
      model: Numbers(sample(333, seed: 3), .f32), base: Numbers(sample(333, seed: 4), .f64)
    )
    let all = Self.magnitudes(narrow.model, narrow.base) + Self.magnitudes(wide.model, wide.base)
    for rank in [1, 2, 100, 517, 1032] {
      let found = Self.count(rank: rank, [narrow, wide], isWide: true, cuts: [100])
      #expect(found.threshold == Self.kthLargest(rank, all), "rank \(rank)")
      #expect(found.reads == 3)
    }
  }

  @Test(arguments: mergeable)
  func notANumberIsReportedAndTheSmallest(dtype: DType) {
    let model = Numbers([.nan, 2, 0, -3, .nan, 1], dtype)
    let base = Numbers([0, 0, 0, 0, 0, 0], dtype)
    for (rank, expected) in [(1, 3.0), (2, 2), (3, 1), (4, 0), (5, 0)] {
      let counted = Self.count(rank: rank, [(model, base)], isWide: dtype == .f64)
      #expect(counted.threshold == expected && counted.undefined == 2)
      let direct = Kernels.largestMagnitudes(
        [rank], model.elements, base: base.elements, count: 6)
      #expect(direct.thresholds[0] == expected && direct.undefined == 2)
    }
  }

  /// Counters that are emptied into sums before they run over count the same.
  @Test func countersAreEmptiedInTime() {
    let model = Numbers(sample(3000, seed: 8), .bf16)
    let base = Numbers([Double](repeating: 0, count: 3000), .bf16)
    var selection = MagnitudeSelection(rank: 700, of: 6000, isWide: false)
    while let digit = selection.digit {
      let sum = MagnitudeHistogram(digit, capacity: 2500)
      let other = MagnitudeHistogram(digit, capacity: 1100)
      for histogram in [sum, other] {
        for start in stride(from: 0, to: 3000, by: 1000) {
          histogram.count(
            model.elements.advanced(by: start), base: base.elements.advanced(by: start),
            count: 1000)
        }
      }
      sum.add(other)
      sum.add(MagnitudeHistogram(digit))
      selection.narrow(by: sum)
    }
    #expect(
      selection.threshold == Self.kthLargest(350, Self.magnitudes(model, base)))
  }

  @Test func asManyReachTheThresholdAsTheRankSays() {
    let model = Numbers(sample(5000, seed: 8), .f32)
    let base = Numbers(sample(5000, seed: 9), .f32)
    let all = Self.magnitudes(model, base)
    for rank in [1, 10, 1000, 4999] {
      guard let t = Self.count(rank: rank, [(model, base)], isWide: false).threshold else {
        Issue.record("no threshold")
        continue
      }
      #expect(all.count { $0 > t } < rank && all.count { $0 >= t } >= rank)
    }
  }
}
