import DFMergeCore

extension Kernels {
  /// The number of the first element that is NaN or infinite; nil if there is none.
  @inline(never)
  package static func firstNonFinite(_ x: Elements, count: Int) -> Int? {
    // x - x is 0 for finite numbers, NaN for the others.
    first(x, count) { ($0 - $0) .== 0 }
  }

  /// The number of the first element that is NaN, infinite or below 0, which no Fisher value is; nil
  /// if there is none. -0 counts as 0.
  @inline(never)
  package static func firstNegativeOrNonFinite(_ x: Elements, count: Int) -> Int? {
    first(x, count) { ($0 .>= 0) .& ($0 .<= .greatestFiniteMagnitude) }
  }

  /// The number of the first element that is not `good`. Zeros are good.
  @inline(__always)
  private static func first(
    _ x: Elements, _ count: Int, _ good: (Doubles) -> SIMDMask<SIMD8<Int64>>
  ) -> Int? {
    var found: Int?
    forEachVector(x, count) { values, start in
      let mask = good(values)
      if all(mask) { return true }
      for lane in 0..<8 where !mask[lane] {
        found = start &+ lane
        break
      }
      return false
    }
    return found
  }
}
