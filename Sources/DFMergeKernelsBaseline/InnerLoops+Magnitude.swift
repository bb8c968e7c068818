import CDFMergeShims

// Keys of magnitudes `|x - b|`: see `MagnitudeSelection` of `DFMergeKernels`. Any number `n` of
// elements below 2^31; each function returns how many differences are NaN, which have the key 0.
extension InnerLoops {
  /// The keys, 32-bit integers for floats and 64-bit ones for doubles.
  @inline(never)
  package static func magnitudes(
    of x: UnsafeRawPointer, base: UnsafeRawPointer, into keys: UnsafeMutableRawPointer, n: Int,
    wide: Bool, rounds: Bool
  ) -> Int {
    if wide {
      return Int(
        dfmk_magnitudes_f64(
          keys.assumingMemoryBound(to: UInt64.self), x, base, Int64(n), rounds))
    }
    return Int(
      dfmk_magnitudes_f32(keys.assumingMemoryBound(to: UInt32.self), x, base, Int64(n)))
  }

  /// Counts the upper 15 bits of the keys of floats; two counters per pattern.
  @inline(never)
  package static func countUpper(
    _ x: UnsafeRawPointer, base: UnsafeRawPointer, into counts: UnsafeMutablePointer<UInt32>,
    n: Int
  ) -> Int {
    Int(dfmk_count_upper_f32(counts, x, base, Int64(n)))
  }

  /// Counts the lower 16 bits of those keys of floats whose upper 15 are `upper`; two
  /// counters per pattern.
  @inline(never)
  package static func countLower(
    _ x: UnsafeRawPointer, base: UnsafeRawPointer, into counts: UnsafeMutablePointer<UInt32>,
    upper: UInt64, n: Int
  ) -> Int {
    Int(dfmk_count_lower_f32(counts, x, base, Int64(n), UInt32(truncatingIfNeeded: upper)))
  }

  /// Counts 21 bits from `shift` on of those keys of doubles whose bits above are `upper`.
  @inline(never)
  package static func countWide(
    _ x: UnsafeRawPointer, base: UnsafeRawPointer, into counts: UnsafeMutablePointer<UInt32>,
    shift: Int, upper: UInt64, rounds: Bool, n: Int
  ) -> Int {
    Int(dfmk_count_f64(counts, x, base, Int64(n), Int64(shift), upper, rounds))
  }

  /// Counts bits of the keys of numbers of any sign: see `dfmerge_counts.h`. For floats 16 bits from
  /// `shift` on, two counters per pattern; for doubles (`wide`) `bits` bits, one counter.
  @inline(never)
  package static func countOrdered(
    _ values: UnsafePointer<Double>, into counts: UnsafeMutablePointer<UInt32>, shift: Int,
    bits: Int, upper: UInt64, n: Int, wide: Bool
  ) -> Int {
    if wide {
      return Int(
        dfmk_count_ordered_f64(counts, values, Int64(n), Int64(shift), Int64(bits), upper))
    }
    return Int(
      dfmk_count_ordered_f32(
        counts, values, Int64(n), Int64(shift), UInt32(truncatingIfNeeded: upper)))
  }
}
