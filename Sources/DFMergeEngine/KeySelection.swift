import DFMergeKernels

/// Finds the value of a given rank among numbers of any sign, by counting how often each pattern of
/// some bits of their keys occurs.
///
/// Definition:  keys are the bits of the numbers as floats (doubles where `isWide`), turned so that
///              their order is that of the numbers: -0 below 0, NaN as minus infinity.
/// Result:      the rank-th largest number; `infinity` for rank <= 0, `-infinity` for one above the
///              count.
/// Cost:        two reads, 16 bits each; three where wide, 22, 21 and 21 bits.
struct KeySelection {
  /// The bits that the next read counts.
  struct Digit: Equatable {
    let shift: UInt64
    let bits: UInt64
    /// The bits above, of the keys that are in question.
    let upper: UInt64
    let isWide: Bool

    /// Counters for it.
    var histogram: KeyHistogram {
      KeyHistogram(bits: Int(bits), copies: isWide ? 1 : 2)
    }

    /// The most memory of the counters of one selection.
    static func byteCount(isWide: Bool) -> Int {
      isWide
        ? KeyHistogram.byteCount(bits: 22, copies: 1) : KeyHistogram.byteCount(bits: 16, copies: 2)
    }

    /// Counts this digit of values; returns how many of them are NaN.
    func count(
      _ values: UnsafePointer<Double>, _ count: Int, into histogram: KeyHistogram
    ) -> Int {
      let before = histogram.undefined
      histogram.count(
        values, count: count, shift: Int(shift), upper: upper, isWide: isWide)
      return histogram.undefined - before
    }
  }

  private(set) var digit: Digit?
  private(set) var found: Double?
  private var rank: Int

  init(rank: Int, of count: Int, isWide: Bool) {
    self.rank = rank
    if rank <= 0 {
      found = .infinity
    } else if rank > count {
      found = -.infinity
    } else {
      digit =
        isWide
        ? Digit(shift: 42, bits: 22, upper: 0, isWide: true)
        : Digit(shift: 16, bits: 16, upper: 0, isWide: false)
    }
  }

  /// Takes the counts of `digit` over all values.
  mutating func narrow(by histogram: KeyHistogram) {
    guard let digit else { return }
    let pattern: Int
    (pattern, rank) = histogram.pattern(ofRank: rank)
    let upper = digit.upper << digit.bits | UInt64(pattern)
    if digit.shift == 0 {
      self.digit = nil
      found = KeySelection.value(of: upper, isWide: digit.isWide)
    } else {
      let bits: UInt64 = digit.isWide ? 21 : 16
      self.digit = Digit(
        shift: digit.shift - bits, bits: bits, upper: upper, isWide: digit.isWide)
    }
  }

  private static func value(of key: UInt64, isWide: Bool) -> Double {
    if isWide {
      return Double(bitPattern: key >> 63 == 1 ? key & ~(1 << 63) : ~key)
    }
    let bits = UInt32(truncatingIfNeeded: key)
    return Double(Float(bitPattern: bits >> 31 == 1 ? bits & ~(1 << 31) : ~bits))
  }
}
