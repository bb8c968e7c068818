import CDFMergeShims

extension InnerLoops {
  /// `out = x` where the element is kept and `b` where it is dropped, for `n` elements, any number,
  /// of `width` bytes: 2, 4 or 8; `out` may be `x` or `b`. `first` is the number of the first one;
  /// see `BernoulliMask` of `DFMergeKernels` for who is kept.
  @inline(never)
  package static func drop(
    _ x: UnsafeRawPointer, base: UnsafeRawPointer, into out: UnsafeMutableRawPointer, n: Int,
    width: Int, seed: UInt64, stream: UInt64, first: UInt64, limit: UInt64
  ) {
    switch width {
    case 2: dfmk_drop_16(out, x, base, Int64(n), seed, stream, first, limit)
    case 4: dfmk_drop_32(out, x, base, Int64(n), seed, stream, first, limit)
    default: dfmk_drop_64(out, x, base, Int64(n), seed, stream, first, limit)
    }
  }
}
