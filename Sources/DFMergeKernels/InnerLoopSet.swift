import DFMergeKernelsBaseline

#if DFMERGE_CPU_LEVELS
  import DFMergeKernelsV3
  import DFMergeKernelsV4
#endif

/// The loops of one level; `InnerLoops` of `DFMergeKernelsBaseline` describes them.
///
/// A kernel asks for them once per call and hands them on, so one call never mixes levels.
protocol InnerLoopSet {
  static func addProducts(
    into out: UnsafeMutableRawPointer, _ x: UnsafePointer<UnsafeRawPointer>,
    weights: UnsafePointer<Double>, models: Int, n: Int, wide: Bool
  )
  static func addTaskVectors(
    into out: UnsafeMutableRawPointer, base: UnsafeRawPointer,
    _ x: UnsafePointer<UnsafeRawPointer>, coefficients: UnsafePointer<Double>, models: Int, n: Int,
    wide: Bool
  )
  static func mergeTaskVectors(
    into out: UnsafeMutableRawPointer, base: UnsafeRawPointer,
    _ x: UnsafePointer<UnsafeRawPointer>, weights: UnsafePointer<UnsafeRawPointer>,
    coefficients: UnsafePointer<Double>, epsilon: Double, models: Int, n: Int, wide: Bool,
    weightsAreWide: Bool
  )
  static func interpolate(
    into out: UnsafeMutableRawPointer, lower: UnsafeRawPointer, upper: UnsafeRawPointer?,
    fraction: Double, n: Int, wide: Bool
  )
  static func add(_ epsilon: Double, to values: UnsafeMutableRawPointer, n: Int)
  static func squareRoot(
    of values: UnsafeMutableRawPointer, adding epsilon: Double, n: Int
  )
  static func weigh(
    _ values: UnsafeMutableRawPointer, floor: Double, weight: Double, n: Int
  )
  static func average(
    into out: UnsafeMutableRawPointer, _ x: UnsafePointer<UnsafeRawPointer>,
    weights: UnsafePointer<UnsafeRawPointer>, models: Int, n: Int, wide: Bool
  )
  static func power(
    of values: UnsafeMutableRawPointer, adding epsilon: Double, exponent: Double, lowest: Double,
    highest: Double, n: Int
  )
  static func widenBF16(
    _ x: UnsafeRawPointer, into out: UnsafeMutableRawPointer, n: Int, wide: Bool
  )
  static func widenF16(
    _ x: UnsafeRawPointer, into out: UnsafeMutableRawPointer, n: Int, wide: Bool
  )
  static func widenF32(
    _ x: UnsafeRawPointer, into out: UnsafeMutableRawPointer, n: Int
  )
  static func narrowToF32(
    _ x: UnsafeRawPointer, into out: UnsafeMutableRawPointer, n: Int
  )
  static func narrowToF16(
    _ x: UnsafeRawPointer, into out: UnsafeMutableRawPointer, n: Int
  )
  static func narrowToBF16(
    _ x: UnsafeRawPointer, into out: UnsafeMutableRawPointer, n: Int
  )
  static func accumulate(
    into acc: UnsafeMutableRawPointer, _ values: UnsafeRawPointer, weight: Double, squared: Bool,
    n: Int, wide: Bool
  )
  static func addSquares(
    of values: UnsafeRawPointer, to sums: UnsafeMutableRawPointer, n: Int, wide: Bool
  )
  static func firstInvalid16(
    _ x: UnsafeRawPointer, infinity: UInt16, refusingNegative: Bool, n: Int
  ) -> Int
  static func firstInvalidF32(
    _ x: UnsafeRawPointer, refusingNegative: Bool, n: Int
  ) -> Int
  static func firstInvalidF64(
    _ x: UnsafeRawPointer, refusingNegative: Bool, n: Int
  ) -> Int
  static func magnitudes(
    of x: UnsafeRawPointer, base: UnsafeRawPointer, into keys: UnsafeMutableRawPointer, n: Int,
    wide: Bool, rounds: Bool
  ) -> Int
  static func countUpper(
    _ x: UnsafeRawPointer, base: UnsafeRawPointer, into counts: UnsafeMutablePointer<UInt32>,
    n: Int
  ) -> Int
  static func countLower(
    _ x: UnsafeRawPointer, base: UnsafeRawPointer, into counts: UnsafeMutablePointer<UInt32>,
    upper: UInt64, n: Int
  ) -> Int
  static func countWide(
    _ x: UnsafeRawPointer, base: UnsafeRawPointer, into counts: UnsafeMutablePointer<UInt32>,
    shift: Int, upper: UInt64, rounds: Bool, n: Int
  ) -> Int
  static func drop(
    _ x: UnsafeRawPointer, base: UnsafeRawPointer, into out: UnsafeMutableRawPointer, n: Int,
    wide: Bool, seed: UInt64, stream: UInt64, first: UInt64, limit: UInt64
  )
  static func elect(
    into out: UnsafeMutableRawPointer, base: UnsafeRawPointer,
    _ x: UnsafePointer<UnsafeRawPointer>, numbers: UnsafePointer<Double>, models: Int, n: Int,
    wide: Bool, byCount: Bool, aggregate: Int, zeroSign: Double, scale: Double
  )
  static func addTerms(
    into out: UnsafeMutableRawPointer, base: UnsafeRawPointer,
    _ x: UnsafePointer<UnsafeRawPointer>, numbers: UnsafePointer<Double>, models: Int, n: Int,
    wide: Bool
  )
  static func signBalance(
    base: UnsafeRawPointer, _ x: UnsafePointer<UnsafeRawPointer>, numbers: UnsafePointer<Double>,
    models: Int, n: Int, wide: Bool, byCount: Bool
  ) -> Int
}

extension DFMergeKernelsBaseline.InnerLoops: InnerLoopSet {}

#if DFMERGE_CPU_LEVELS
  extension DFMergeKernelsV3.InnerLoops: InnerLoopSet {}
  extension DFMergeKernelsV4.InnerLoops: InnerLoopSet {}
#endif

extension CPULevel {
  /// The loops that were compiled for this level.
  var loops: any InnerLoopSet.Type {
    #if DFMERGE_CPU_LEVELS
      switch self {
      case .baseline: DFMergeKernelsBaseline.InnerLoops.self
      case .v3: DFMergeKernelsV3.InnerLoops.self
      case .v4: DFMergeKernelsV4.InnerLoops.self
      }
    #else
      DFMergeKernelsBaseline.InnerLoops.self
    #endif
  }
}
