import DFMergeCore

extension Kernels {
  /// The number of the first element that is NaN or infinite; nil if there is none.
  @inline(never)
  package static func firstNonFinite(_ x: Elements, count: Int) -> Int? {
    first(x, refusingNegative: false, count)
  }

  /// The number of the first element that is NaN, infinite or below 0, which no Fisher value is;
  /// nil if there is none. -0 counts as 0.
  @inline(never)
  package static func firstNegativeOrNonFinite(_ x: Elements, count: Int) -> Int? {
    first(x, refusingNegative: true, count)
  }

  private static func first(_ x: Elements, refusingNegative: Bool, _ count: Int) -> Int? {
    guard count > 0 else { return nil }
    let loops = CPULevel.current.loops
    let refused = refusingNegative
    let found =
      switch x.dtype {
      case .f16:
        loops.firstInvalid16(x.pointer, infinity: 0x7c00, refusingNegative: refused, n: count)
      case .bf16:
        loops.firstInvalid16(x.pointer, infinity: 0x7f80, refusingNegative: refused, n: count)
      case .f32: loops.firstInvalidF32(x.pointer, refusingNegative: refused, n: count)
      default: loops.firstInvalidF64(x.pointer, refusingNegative: refused, n: count)
      }
    return found < 0 ? nil : found
  }
}
