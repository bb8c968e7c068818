import CDFMergeShims

// Elements of a row by their place among its magnitudes: see `dfmerge_rows.h`, `dfmerge_places.h`,
// `dfmerge_order.h` and `RowMask` of `DFMergeKernels`. Keys are 32-bit integers for floats, 64-bit ones for doubles (`wide`). Any number
// `n` of elements.
extension InnerLoops {
  /// The draws of elements, the first of which is number `first` of its tensor.
  @inline(never)
  package static func draws(
    into out: UnsafeMutablePointer<UInt32>, n: Int, seed: UInt64, stream: UInt64, first: UInt64
  ) {
    dfmk_draws(out, Int64(n), seed, stream, first)
  }

  /// The key at a place, 0 being the lowest; `0 <= place < n`. `below` gets the number of those below it.
  @inline(never)
  package static func key(
    at place: Int, of keys: UnsafeRawPointer, n: Int, wide: Bool, below: UnsafeMutablePointer<Int64>
  ) -> UInt64 {
    if wide {
      return dfmk_place_u64(
        keys.assumingMemoryBound(to: UInt64.self), Int64(n), Int64(place), below)
    }
    return UInt64(
      dfmk_place_u32(keys.assumingMemoryBound(to: UInt32.self), Int64(n), Int64(place), below))
  }

  /// The ranks of `n` 32-bit keys, 1 or more, 0 being the lowest; false where this way to sort them is
  /// too slow. `items` has room for `2 n` words, `tables` for `2 << bits`.
  @inline(never)
  package static func rank(
    _ keys: UnsafePointer<UInt32>, n: Int, into ranks: UnsafeMutablePointer<UInt32>,
    items: UnsafeMutablePointer<UInt64>, tables: UnsafeMutablePointer<UInt32>, bits: Int
  ) -> Bool {
    dfmk_rank_keys(keys, Int64(n), ranks, items, tables, Int32(truncatingIfNeeded: bits))
  }

  /// Makes keys in the order of the numbers of `n` doubles, in their place: 64-bit ones (`wide`), or
  /// 32-bit ones of the nearest floats. Returns how many are NaN, which count as minus infinity.
  @inline(never)
  package static func orderKeys(
    of values: UnsafeMutableRawPointer, n: Int, wide: Bool
  ) -> Int {
    Int(dfmk_order_keys(values, Int64(n), !wide))
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
