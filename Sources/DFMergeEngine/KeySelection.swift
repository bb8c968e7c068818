import DFMergeCore

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

    /// The most memory of the counters of one selection.
    static func byteCount(isWide: Bool) -> Int { 8 << (isWide ? 22 : 16) }

    /// Adds the values of this digit to `counters`; returns how many values are NaN.
    func count(
      _ values: UnsafePointer<Double>, _ count: Int, into counters: inout [Int]
    ) -> Int {
      let mask = UInt64(1) << bits &- 1
      var undefined = 0
      for i in 0..<count {
        let value = values[i]
        undefined &+= value.isNaN ? 1 : 0
        let key = KeySelection.key(value, isWide: isWide)
        // A shift by the whole width gives 0, so that the first digit takes every key.
        guard key >> (shift &+ bits) == upper else { continue }
        counters[Int(truncatingIfNeeded: key >> shift & mask)] &+= 1
      }
      return undefined
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
  mutating func narrow(by counts: [Int]) {
    guard let digit else { return }
    var pattern = counts.count - 1
    while pattern > 0, counts[pattern] < rank {
      rank -= counts[pattern]
      pattern -= 1
    }
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

  private static func key(_ value: Double, isWide: Bool) -> UInt64 {
    let value = value.isNaN ? -Double.infinity : value
    if isWide {
      let bits = value.bitPattern
      return bits >> 63 == 0 ? bits | 1 << 63 : ~bits
    }
    let bits = Float(value).bitPattern
    return UInt64(bits >> 31 == 0 ? bits | 1 << 31 : ~bits)
  }

  private static func value(of key: UInt64, isWide: Bool) -> Double {
    if isWide {
      return Double(bitPattern: key >> 63 == 1 ? key & ~(1 << 63) : ~key)
    }
    let bits = UInt32(truncatingIfNeeded: key)
    return Double(Float(bitPattern: bits >> 31 == 1 ? bits & ~(1 << 31) : ~bits))
  }
}
