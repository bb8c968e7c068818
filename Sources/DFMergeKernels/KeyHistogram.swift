/// How often each pattern of some bits occurs among keys: the counters behind every selection by rank.
///
/// One thread counts into one histogram at a time; histograms of the same bits add up.
///
/// Memory: four bytes per counter; three times that from 2^32 elements on.
package final class KeyHistogram: @unchecked Sendable {
  // Sendable: whoever holds it hands it from thread to thread, never shares it.

  /// How many patterns there are, as a power of 2.
  package let bits: Int
  /// How many keys were of NaN.
  package private(set) var undefined = 0
  /// Counters per pattern, which take turns.
  private let copies: Int
  private let counters: UnsafeMutableBufferPointer<UInt32>
  /// What the counters held when they were last emptied; empty until then.
  private var sums: [Int] = []
  /// Elements since then: none of the counters is larger.
  private var counted = 0
  /// The most elements before the counters are emptied into sums.
  private let capacity: Int

  /// - Parameters:
  ///   - copies: counters per pattern, one after the other.
  ///   - capacity: at most 2^32 - 1, which no counter can pass; tests make do with less.
  package init(bits: Int, copies: Int, capacity: Int = Int(UInt32.max)) {
    self.bits = bits
    self.copies = copies
    self.capacity = capacity
    counters = .allocate(capacity: copies << bits &+ KeyHistogram.spare)
    counters.initialize(repeating: 0)
  }

  /// The memory of one histogram of up to 2^32 elements.
  package static func byteCount(bits: Int, copies: Int) -> Int { 4 &* copies << bits }

  deinit { counters.deallocate() }

  /// Counts `count` elements with a loop, which gets their range and the counters and returns how many
  /// are NaN.
  func count(_ count: Int, _ loop: (Range<Int>, UnsafeMutablePointer<UInt32>) -> Int) {
    guard let start = counters.baseAddress else { return }
    var done = 0
    while done < count {
      let n = min(count &- done, KeyHistogram.longestRun)
      if counted &+ n > capacity { empty() }
      counted &+= n
      undefined &+= loop(done..<(done &+ n), start)
      done &+= n
    }
  }

  /// Adds the counts of a histogram of the same bits.
  package func add(_ other: KeyHistogram) {
    undefined &+= other.undefined
    if other.sums.isEmpty, counted &+ other.counted <= capacity {
      for i in counters.indices { counters[i] &+= other.counters[i] }
      counted &+= other.counted
    } else {
      empty()
      for i in sums.indices { sums[i] &+= other[i] }
    }
  }

  /// The number of elements with the bits `pattern`.
  package subscript(pattern: Int) -> Int {
    var total = sums.isEmpty ? 0 : sums[pattern]
    for copy in 0..<copies { total &+= Int(counters[pattern &* copies &+ copy]) }
    return total
  }

  /// The pattern of the element of a rank, 1 being the largest, and its rank among those that have it;
  /// the lowest pattern for ranks above the number of elements.
  package func pattern(ofRank rank: Int) -> (pattern: Int, rank: Int) {
    var (found, left) = (1 << bits &- 1, rank)
    while found > 0 {
      let here = self[found]
      if here >= left { break }
      left &-= here
      found &-= 1
    }
    return (found, left)
  }

  /// Counters that some loops want after the last.
  private static let spare = 32
  /// Longest run that one call of a loop takes.
  private static let longestRun = 1 << 30

  private func empty() {
    sums = (0..<(1 << bits)).map { self[$0] }
    counters.update(repeating: 0)
    counted = 0
  }
}

extension KeyHistogram {
  /// Counts `bits` bits from `shift` on of the keys of numbers of any sign, of those whose bits above
  /// are `upper`: 32-bit keys of the nearest floats, always 16 bits and two counters per pattern, or
  /// 64-bit ones (`isWide`) and one counter.
  package func count(
    _ values: UnsafePointer<Double>, count: Int, shift: Int, upper: UInt64, isWide: Bool
  ) {
    precondition(copies == (isWide ? 1 : 2) && (isWide || bits == 16), "Other counters.")
    let loops = CPULevel.current.loops
    self.count(count) { range, start in
      loops.countOrdered(
        values + range.lowerBound, into: start, shift: shift, bits: bits, upper: upper,
        n: range.count, wide: isWide)
    }
  }
}
