import DFMergeCore

/// How often each pattern of some bits occurs among the magnitudes of task vectors.
///
/// One thread counts into one histogram at a time; histograms of the same digit add up.
///
/// Memory: 256 KiB for the first digit of floats, 512 KiB for the second, 8 MiB where operands are
/// F64; up to three times that from 2^32 elements on.
package final class MagnitudeHistogram: @unchecked Sendable {
  // Sendable: whoever holds it hands it from thread to thread, never shares it.

  /// What is counted.
  package let digit: MagnitudeSelection.Digit
  /// How many differences were NaN; they are counted as 0.
  package private(set) var undefined = 0
  /// Counters per pattern; see `dfmk_count_upper_f32`.
  private let copies: Int
  private let counters: UnsafeMutableBufferPointer<UInt32>
  /// What the counters held when they were last emptied; empty until then.
  private var sums: [Int] = []
  /// Elements since then: none of the counters is larger.
  private var counted = 0

  /// The most elements before the counters are emptied into sums.
  private let capacity: Int

  /// - Parameter capacity: at most 2^32 - 1, which no counter can pass; tests make do with less.
  package init(_ digit: MagnitudeSelection.Digit, capacity: Int = Int(UInt32.max)) {
    self.digit = digit
    self.capacity = capacity
    copies = digit.isWide ? 1 : 2
    counters = .allocate(capacity: copies << digit.bits &+ MagnitudeHistogram.spare)
    counters.initialize(repeating: 0)
  }

  /// The most memory of one histogram of up to 2^32 elements.
  package static func byteCount(isWide: Bool) -> Int { isWide ? 8 << 20 : 512 << 10 }

  deinit { counters.deallocate() }

  /// Counts the magnitudes of `model - base`.
  ///
  /// - Precondition: neither is F64 unless `digit.isWide`.
  package func count(_ model: Elements, base: Elements, count: Int) {
    precondition(digit.isWide || (model.dtype != .f64 && base.dtype != .f64), "Digit is narrow.")
    guard let start = counters.baseAddress else { return }
    var done = 0
    while done < count {
      let n = min(count &- done, MagnitudeHistogram.longestRun)
      if counted &+ n > capacity { empty() }
      counted &+= n
      undefined &+= Kernels.countMagnitudes(
        model.advanced(by: done), base: base.advanced(by: done), digit, into: start, count: n)
      done &+= n
    }
  }

  /// Adds the counts of a histogram of the same digit.
  package func add(_ other: MagnitudeHistogram) {
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

  /// Counters that the second digit of floats wants after the last.
  private static let spare = 32
  /// Longest run that one call of a loop takes.
  private static let longestRun = 1 << 30

  private func empty() {
    sums = (0..<(1 << digit.bits)).map { self[$0] }
    counters.update(repeating: 0)
    counted = 0
  }
}
