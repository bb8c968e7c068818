import DFMergeCore

/// How often each pattern of some bits occurs among the magnitudes of task vectors.
///
/// One thread counts into one histogram at a time; histograms of the same digit add up.
///
/// Memory: 256 KiB for the first digit of floats, 512 KiB for the second, 8 MiB where operands are
/// F64; up to three times that from 2^32 elements on.
package final class MagnitudeHistogram: Sendable {
  /// What is counted.
  package let digit: MagnitudeSelection.Digit
  /// How often each pattern occurs; two counters per pattern of floats, see `dfmk_count_upper_f32`.
  let histogram: KeyHistogram

  /// - Parameter capacity: as of ``KeyHistogram``.
  package init(_ digit: MagnitudeSelection.Digit, capacity: Int = Int(UInt32.max)) {
    self.digit = digit
    histogram = KeyHistogram(bits: digit.bits, copies: digit.isWide ? 1 : 2, capacity: capacity)
  }

  /// The most memory of one histogram of up to 2^32 elements.
  package static func byteCount(isWide: Bool) -> Int {
    isWide
      ? KeyHistogram.byteCount(bits: 21, copies: 1) : KeyHistogram.byteCount(bits: 16, copies: 2)
  }

  /// How many differences were NaN; they are counted as 0.
  package var undefined: Int { histogram.undefined }

  /// Counts the magnitudes of `model - base`.
  ///
  /// - Precondition: neither is F64 unless `digit.isWide`.
  package func count(_ model: Elements, base: Elements, count: Int) {
    precondition(digit.isWide || (model.dtype != .f64 && base.dtype != .f64), "Digit is narrow.")
    histogram.count(count) { range, start in
      Kernels.countMagnitudes(
        model.advanced(by: range.lowerBound), base: base.advanced(by: range.lowerBound), digit,
        into: start, count: range.count)
    }
  }

  /// Adds the counts of a histogram of the same digit.
  package func add(_ other: MagnitudeHistogram) { histogram.add(other.histogram) }

  /// The number of elements with the bits `pattern`.
  package subscript(pattern: Int) -> Int { histogram[pattern] }
}
