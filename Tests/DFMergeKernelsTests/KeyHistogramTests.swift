import DFMergeKernels
import Testing

/// Counts of the bits of numbers' keys, against keys made one by one.
@Suite("Key histograms")
struct KeyHistogramTests {
  /// The bits of the nearest float, in the order of the numbers.
  private static func key(_ value: Double) -> UInt64 {
    let bits = Float(value.isNaN ? -.infinity : value).bitPattern
    return UInt64(bits >> 31 == 0 ? bits | 1 << 31 : ~bits)
  }

  private static func wideKey(_ value: Double) -> UInt64 {
    let bits = (value.isNaN ? -.infinity : value).bitPattern
    return bits >> 63 == 0 ? bits | 1 << 63 : ~bits
  }

  private static func numbers(_ count: Int) -> [Double] {
    var values = sample(count, seed: 5).map { ($0 * 8).rounded() / 8 * 1e-3 }
    for (place, value) in [0, -0.0, .nan, .infinity, -.infinity, 1e-45].enumerated()
    where place < count { values[place] = value }
    return values
  }

  private func check(_ values: [Double], bits: Int, shift: Int, upper: UInt64, isWide: Bool) {
    let keys = values.map(isWide ? Self.wideKey : Self.key)
    let width = isWide ? 64 : 32
    var expected: [Int: Int] = [:]
    for key in keys where shift + bits == width || key >> UInt64(shift + bits) == upper {
      expected[Int(key >> UInt64(shift) & (1 << UInt64(bits) - 1)), default: 0] += 1
    }
    // One whole, and one that is emptied and added up of two; wide ones are large.
    let whole = KeyHistogram(bits: bits, copies: isWide ? 1 : 2)
    let parts = (0..<(isWide ? 0 : 2)).map { _ in
      KeyHistogram(bits: bits, copies: 2, capacity: 450)
    }
    values.withUnsafeBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      whole.count(start, count: values.count, shift: shift, upper: upper, isWide: isWide)
      for (number, from) in stride(from: 0, to: values.count, by: 37).enumerated()
      where !parts.isEmpty {
        parts[number % 2].count(
          start + from, count: min(37, values.count - from), shift: shift, upper: upper,
          isWide: isWide)
      }
    }
    if let last = parts.last { parts[0].add(last) }
    for histogram in [whole] + parts.prefix(1) {
      #expect(histogram.undefined == values.count { $0.isNaN })
      var total = 0
      for (pattern, count) in expected {
        #expect(histogram[pattern] == count, "pattern \(pattern)")
        total += count
      }
      guard bits == 16 else { continue }
      let all = (0..<(1 << bits)).reduce(0) { $0 + histogram[$1] }
      #expect(all == total)
    }
  }

  @Test func everyDigit() {
    for count in [1, 17, 257, 1000] {
      let values = Self.numbers(count)
      check(values, bits: 16, shift: 16, upper: 0, isWide: false)
      check(values, bits: 16, shift: 0, upper: Self.key(1e-3) >> 16, isWide: false)
    }
    let values = Self.numbers(500)
    check(values, bits: 22, shift: 42, upper: 0, isWide: true)
    check(values, bits: 21, shift: 21, upper: Self.wideKey(1e-3) >> 42, isWide: true)
  }

  @Test func patternOfARank() {
    let histogram = KeyHistogram(bits: 16, copies: 2)
    let values = [3.0, 1, 1, 2]
    values.withUnsafeBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      histogram.count(start, count: 4, shift: 16, upper: 0, isWide: false)
    }
    for (rank, value, left) in [(1, 3.0, 1), (2, 2.0, 1), (3, 1.0, 1), (4, 1.0, 2)] {
      let found = histogram.pattern(ofRank: rank)
      #expect(UInt64(found.pattern) == Self.key(value) >> 16)
      #expect(found.rank == left)
    }
    #expect(histogram.pattern(ofRank: 5).pattern == 0)
  }
}
