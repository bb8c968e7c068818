/// Eight doubles: what sums over all elements take turns in, and powers are computed of.
typealias Doubles = SIMD8<Double>

/// What a loop that goes through registers holds per step and operand: DFMK_STEP elements.
#if DFMERGE_LONG_STEPS
  typealias StepDoubles = SIMD16<Double>
  typealias StepFloats = SIMD16<Float>
#else
  typealias StepDoubles = SIMD8<Double>
  typealias StepFloats = SIMD8<Float>
#endif

@inline(__always) var stepSize: Int { StepDoubles.scalarCount }
