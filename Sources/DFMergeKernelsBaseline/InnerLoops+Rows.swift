import CDFMergeShims

// Elements of a row by their place among its magnitudes: see `dfmerge_rows.h` and `RowMask` of
// `DFMergeKernels`. Keys are 32-bit integers for floats, 64-bit ones for doubles (`wide`). Any number
// `n` of elements.
extension InnerLoops {
  /// The draws of elements, the first of which is number `first` of its tensor.
  @inline(never)
  package static func draws(
    into out: UnsafeMutablePointer<UInt32>, n: Int, seed: UInt64, stream: UInt64, first: UInt64
  ) {
    dfmk_draws(out, Int64(n), seed, stream, first)
  }

  /// The key at a place, 0 being the lowest; `0 <= place < n`.
  @inline(never)
  package static func key(
    at place: Int, of keys: UnsafeRawPointer, n: Int, wide: Bool
  ) -> UInt64 {
    if wide {
      return dfmk_place_u64(keys.assumingMemoryBound(to: UInt64.self), Int64(n), Int64(place))
    }
    return UInt64(
      dfmk_place_u32(keys.assumingMemoryBound(to: UInt32.self), Int64(n), Int64(place)))
  }

  /// Makes keys in the order of the numbers of `n` doubles, in their place: 64-bit ones (`wide`), or
  /// 32-bit ones of the nearest floats. Returns how many are NaN, which count as minus infinity.
  @inline(never)
  package static func orderKeys(
    of values: UnsafeMutableRawPointer, n: Int, wide: Bool
  ) -> Int {
    Int(dfmk_order_keys(values, Int64(n), !wide))
  }

  /// How many keys are below `key`.
  @inline(never)
  package static func countBelow(
    _ key: UInt64, of keys: UnsafeRawPointer, n: Int, wide: Bool
  ) -> Int {
    if wide {
      return Int(
        dfmk_count_below_u64(keys.assumingMemoryBound(to: UInt64.self), Int64(n), key))
    }
    return Int(
      dfmk_count_below_u32(
        keys.assumingMemoryBound(to: UInt32.self), Int64(n), UInt32(truncatingIfNeeded: key)))
  }

  /// Makes differences 0 whose keys are not in `low ..< high`.
  @inline(never)
  package static func keep(
    _ d: UnsafeMutablePointer<Double>, from low: UInt64, to high: UInt64,
    keys: UnsafeRawPointer, n: Int, wide: Bool
  ) {
    if wide {
      dfmk_keep_between_u64(d, keys.assumingMemoryBound(to: UInt64.self), Int64(n), low, high)
    } else {
      dfmk_keep_between_u32(
        d, keys.assumingMemoryBound(to: UInt32.self), Int64(n), UInt32(truncatingIfNeeded: low),
        UInt32(truncatingIfNeeded: high))
    }
  }

  /// Makes differences 0 whose draw is not below `lowest + step rank`, and divides the others by that
  /// where it `rescales`.
  @inline(never)
  package static func keepByRank(
    _ d: UnsafeMutablePointer<Double>, ranks: UnsafePointer<UInt32>,
    draws: UnsafePointer<UInt32>, n: Int, lowest: Double, step: Double, rescales: Bool
  ) {
    dfmk_keep_by_rank(d, ranks, draws, Int64(n), lowest, step, rescales)
  }
}
