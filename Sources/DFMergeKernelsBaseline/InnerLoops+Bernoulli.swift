import CDFMergeShims

extension InnerLoops {
  /// `out = x` where the element is kept and `b` where it is dropped, for `n` elements, any number;
  /// `out` may be `x`. `first` is the number of the first one; see `BernoulliMask` of
  /// `DFMergeKernels` for who is kept.
  @inline(never)
  package static func drop(
    _ x: UnsafeRawPointer, base: UnsafeRawPointer, into out: UnsafeMutableRawPointer, n: Int,
    wide: Bool, seed: UInt64, stream: UInt64, first: UInt64, limit: UInt64
  ) {
    if wide {
      dfmk_drop_f64(out, x, base, Int64(n), seed, stream, first, limit)
    } else {
      dfmk_drop_f32(out, x, base, Int64(n), seed, stream, first, limit)
    }
  }
}
