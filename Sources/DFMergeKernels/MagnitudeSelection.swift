/// Finds the k-th largest of the magnitudes `|tau|`, `tau = x - b`, of any number of elements: how
/// often each pattern of their upper bits occurs says which pattern the k-th largest has, and
/// reading the elements again tells its next bits.
///
/// Definition:  `tau` is the float nearest to `x - b`, or the double where an operand is F64. The
///              bits of `|tau|` as an integer, its key, are in the order of the magnitudes.
/// Result:      the largest `t` for which at least `rank` elements have `|tau| >= t`: exact, and
///              one of the magnitudes. More than `rank` elements have it when several equal `t`.
/// Edge cases:  `rank <= 0` gives infinity; `rank >= count` gives 0, without a look at an element,
///              but for `rank == count` where the result has to be exact.
///              NaN is below every number: it counts as 0, and ``MagnitudeHistogram/undefined``
///              says how many there were.
/// Determinism: counts are integers; their sum depends neither on threads nor on tiles.
/// Cost:        two reads of the elements, 15 and 16 bits of 31; three where something is F64,
///              21 bits of 63 each, whatever the data are.
///
/// This type only decides; ``MagnitudeHistogram`` counts:
///
///     while let digit = selection.digit {
///       let histogram = MagnitudeHistogram(digit)
///       // histogram.count(...) for all elements, or several histograms that are added up
///       selection.narrow(by: histogram)
///     }
package struct MagnitudeSelection: Sendable {
  /// The bits that the next read counts: `bits` bits from `shift` on, of keys whose bits above are
  /// `upper`.
  package struct Digit: Sendable, Equatable {
    package let shift: Int
    package let bits: Int
    package let upper: UInt64
    /// Keys are those of doubles.
    package let isWide: Bool
  }

  /// What to count next; nil when the threshold is known.
  package private(set) var digit: Digit?
  /// The k-th largest magnitude, once it is known.
  package private(set) var threshold: Double?
  /// The rank among the keys whose upper bits are known.
  private var rank: Int

  /// - Parameters:
  ///   - rank: k; 1 is the largest.
  ///   - count: the number of elements.
  ///   - isWide: whether some operand is F64, so that keys are those of doubles.
  ///   - isExact: whether the smallest magnitude is wanted, not only a number that none is below.
  package init(rank: Int, of count: Int, isWide: Bool, isExact: Bool = false) {
    self.rank = rank
    if rank <= 0 {
      threshold = .infinity
    } else if rank > count || (rank == count && !isExact) {
      threshold = 0
    } else {
      digit =
        isWide
        ? Digit(shift: 42, bits: 21, upper: 0, isWide: true)
        : Digit(shift: 16, bits: 15, upper: 0, isWide: false)
    }
  }

  /// Takes the counts of `digit` over all elements.
  package mutating func narrow(by histogram: MagnitudeHistogram) {
    guard let digit, histogram.digit == digit else { return }
    let found: Int
    (found, rank) = histogram.histogram.pattern(ofRank: rank)
    let upper = digit.upper << UInt64(digit.bits) | UInt64(found)
    if digit.shift == 0 {
      self.digit = nil
      threshold =
        digit.isWide
        ? Double(bitPattern: upper) : Double(Float(bitPattern: UInt32(truncatingIfNeeded: upper)))
    } else {
      let bits = digit.isWide ? 21 : 16
      self.digit = Digit(
        shift: digit.shift &- bits, bits: bits, upper: upper, isWide: digit.isWide)
    }
  }
}
