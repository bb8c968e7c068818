import CDFMergeShims

// Conversions of `n` elements, any number, which are exact. Inputs and outputs do not overlap.
extension InnerLoops {
  @inline(never)
  package static func widenBF16(
    _ x: UnsafeRawPointer, into out: UnsafeMutableRawPointer, n: Int, wide: Bool
  ) {
    if wide {
      dfmk_f64_from_bf16(out, x, Int64(n))
    } else {
      dfmk_f32_from_bf16(out, x, Int64(n))
    }
  }

  @inline(never)
  package static func widenF16(
    _ x: UnsafeRawPointer, into out: UnsafeMutableRawPointer, n: Int, wide: Bool
  ) {
    if wide {
      dfmk_f64_from_f16(out, x, Int64(n))
    } else {
      dfmk_f32_from_f16(out, x, Int64(n))
    }
  }

  @inline(never)
  package static func widenF32(
    _ x: UnsafeRawPointer, into out: UnsafeMutableRawPointer, n: Int
  ) {
    dfmk_f64_from_f32(out, x, Int64(n))
  }
}
