import CDFMergeShims

/// Eight elements at a time, as doubles: what the loops compute with.
typealias Doubles = SIMD8<Double>

/// What a loop that goes through registers holds per step and operand: DFMK_STEP elements.
#if DFMERGE_LONG_STEPS
  typealias StepDoubles = SIMD16<Double>
  typealias StepFloats = SIMD16<Float>
  typealias StepWords = SIMD16<UInt32>
#else
  typealias StepDoubles = SIMD8<Double>
  typealias StepFloats = SIMD8<Float>
  typealias StepWords = SIMD8<UInt32>
#endif

@inline(__always) var stepSize: Int { StepDoubles.scalarCount }

/// How a loop reads its inputs: the type is a compile-time choice, so that each loop is compiled
/// once for floats and once for doubles.
protocol Lane {
  /// Bytes per element.
  static var width: Int { get }
  /// Eight elements from `pointer`, which may be unaligned.
  static func load(_ pointer: UnsafeRawPointer) -> Doubles
}

/// How far ahead of the loads memory is asked for, in bytes. A dozen streams at once are more than
/// the hardware follows by itself. At this distance, what a chunk of many models reads was asked
/// for while the chunk before was worked on; half of it costs a tenth to a third more.
private let prefetchDistance = 2048

enum FloatLane: Lane {
  @inline(__always) static var width: Int { 4 }
  @inline(__always)
  static func load(_ pointer: UnsafeRawPointer) -> Doubles {
    dfmk_prefetch(pointer + prefetchDistance)
    return dfmk_load_f32x8(pointer)
  }
}

enum DoubleLane: Lane {
  @inline(__always) static var width: Int { 8 }
  @inline(__always)
  static func load(_ pointer: UnsafeRawPointer) -> Doubles {
    dfmk_prefetch(pointer + prefetchDistance)
    return dfmk_load_f64x8(pointer)
  }
}
