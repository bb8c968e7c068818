import CDFMergeShims
import DFMergeCore

extension Kernels {
  /// The number of the first element that is NaN or infinite; nil if there is none.
  @inline(never)
  package static func firstNonFinite(_ x: Elements, count: Int) -> Int? {
    first(x, below: -.greatestFiniteMagnitude, count)
  }

  /// The number of the first element that is NaN, infinite or below 0, which no Fisher value is;
  /// nil if there is none. -0 counts as 0.
  @inline(never)
  package static func firstNegativeOrNonFinite(_ x: Elements, count: Int) -> Int? {
    first(x, below: 0, count)
  }

  /// The number of the first element that is not finite or below `lowest`, which is at most 0.
  @inline(__always)
  private static func first(_ x: Elements, below lowest: Double, _ count: Int) -> Int? {
    var found: Int?
    forEachVector(x, count) { values, start in
      if dfmk_all_in(values, lowest, .greatestFiniteMagnitude) { return true }
      for lane in 0..<8 where !(values[lane] >= lowest && values[lane].isFinite) {
        found = start &+ lane
        break
      }
      return false
    }
    return found
  }
}
