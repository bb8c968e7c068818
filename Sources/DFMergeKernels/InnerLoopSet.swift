import CDFMergeShims
import DFMergeKernelsBaseline

#if DFMERGE_CPU_LEVELS
  import DFMergeKernelsV3
  import DFMergeKernelsV4
#endif

/// The loops of one level; `InnerLoops` of `DFMergeKernelsBaseline` describes them.
///
/// A kernel asks for them once per call and hands them on, so one call never mixes levels.
protocol InnerLoopSet {
  static func convert(
    into out: dfmk_output, _ x: dfmk_input, n: Int, noticed: UnsafeMutablePointer<dfmk_noticed>
  )
  static func copy(
    into out: dfmk_output, _ x: dfmk_input, n: Int, noticed: UnsafeMutablePointer<dfmk_noticed>
  )
  static func addProducts(
    into out: dfmk_output, _ models: UnsafePointer<dfmk_model>, count: Int, n: Int,
    noticed: UnsafeMutablePointer<dfmk_noticed>
  )
  static func addTaskVectors(
    into out: dfmk_output, base: dfmk_input, _ models: UnsafePointer<dfmk_model>, count: Int,
    n: Int, noticed: UnsafeMutablePointer<dfmk_noticed>
  )
  static func mergeTaskVectors(
    into out: dfmk_output, base: dfmk_input, _ models: UnsafePointer<dfmk_model>, count: Int,
    weight kind: Int, epsilon: Double, n: Int, noticed: UnsafeMutablePointer<dfmk_noticed>
  )
  static func average(
    into out: dfmk_output, _ models: UnsafePointer<dfmk_model>, count: Int, n: Int,
    noticed: UnsafeMutablePointer<dfmk_noticed>
  )
  static func interpolate(
    into values: UnsafeMutableRawPointer, _ model: UnsafePointer<dfmk_model>, start: Int, n: Int,
    noticed: UnsafeMutablePointer<dfmk_noticed>
  )
  static func temper(
    into weights: UnsafeMutableRawPointer, _ model: UnsafePointer<dfmk_model>, start: Int, n: Int,
    epsilon: Double, exponent: Double, noticed: UnsafeMutablePointer<dfmk_noticed>
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
  static func accumulate(
    into acc: dfmk_output, _ values: dfmk_input, weight: Double, squared: Bool, n: Int
  )
  static func addSquares(of x: dfmk_input, to sums: UnsafeMutableRawPointer, n: Int)
  static func addProducts(
    of g: dfmk_input, _ x: dfmk_input, minus b: dfmk_input, to sums: UnsafeMutableRawPointer,
    n: Int
  )
  static func addDifferenceProducts(
    of x: dfmk_input, _ y: dfmk_input, minus b: dfmk_input, to sums: UnsafeMutableRawPointer,
    n: Int
  )
  static func accumulateProducts(
    into acc: dfmk_output, _ x: dfmk_input, _ y: dfmk_input, minus b: dfmk_input, n: Int
  )
  static func addScaled(
    into out: dfmk_output, base: dfmk_input, _ models: UnsafePointer<dfmk_model>, count: Int,
    n: Int, noticed: UnsafeMutablePointer<dfmk_noticed>
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
  static func countOrdered(
    _ values: UnsafePointer<Double>, into counts: UnsafeMutablePointer<UInt32>, shift: Int,
    bits: Int, upper: UInt64, n: Int, wide: Bool
  ) -> Int
  static func drop(
    _ x: UnsafeRawPointer, base: UnsafeRawPointer, into out: UnsafeMutableRawPointer, n: Int,
    width: Int, seed: UInt64, stream: UInt64, first: UInt64, limit: UInt64
  )
  static func elect(
    into out: dfmk_output, base: dfmk_input, _ models: UnsafePointer<dfmk_model>, count: Int,
    numbers: UnsafePointer<Double>, changes: Bool, vote: Int, aggregate: Int, zeroSign: Double,
    scale: Double, leastWeight: Double, n: Int, noticed: UnsafeMutablePointer<dfmk_noticed>
  )
  static func addTerms(
    into out: dfmk_output, base: dfmk_input, _ models: UnsafePointer<dfmk_model>, count: Int,
    numbers: UnsafePointer<Double>, changes: Bool, n: Int,
    noticed: UnsafeMutablePointer<dfmk_noticed>
  )
  static func signBalance(
    base: dfmk_input, _ models: UnsafePointer<dfmk_model>, count: Int,
    numbers: UnsafePointer<Double>, changes: Bool, vote: Int, n: Int
  ) -> Int
  static func draws(
    into out: UnsafeMutablePointer<UInt32>, n: Int, seed: UInt64, stream: UInt64, first: UInt64
  )
  static func key(
    at place: Int, of keys: UnsafeRawPointer, n: Int, wide: Bool, below: UnsafeMutablePointer<Int64>
  ) -> UInt64
  static func rank(
    _ keys: UnsafePointer<UInt32>, n: Int, into ranks: UnsafeMutablePointer<UInt32>,
    items: UnsafeMutablePointer<UInt64>, tables: UnsafeMutablePointer<UInt32>, bits: Int
  ) -> Bool
  static func orderKeys(of values: UnsafeMutableRawPointer, n: Int, wide: Bool) -> Int
  static func keep(
    _ d: UnsafeMutablePointer<Double>, from low: UInt64, to high: UInt64,
    keys: UnsafeRawPointer, n: Int, wide: Bool
  )
  static func keepByRank(
    _ d: UnsafeMutablePointer<Double>, ranks: UnsafePointer<UInt32>,
    draws: UnsafePointer<UInt32>, n: Int, lowest: Double, step: Double, rescales: Bool
  )
  static func differences(
    into out: UnsafeMutablePointer<Double>, _ x: dfmk_input, minus b: dfmk_input, n: Int
  )
  static func spread(
    into out: UnsafeMutablePointer<Double>, _ tau: UnsafePointer<Double>, stride: Int, count: Int,
    n: Int, rounds: Bool
  )
  static func keep(
    _ d: UnsafeMutablePointer<Double>, above threshold: Double, values: UnsafePointer<Double>,
    n: Int
  )
  static func countAbove(
    _ first: Double, _ second: Double, of x: dfmk_input, minus b: dfmk_input, n: Int,
    into found: UnsafeMutablePointer<Int64>
  )
  static func balances(
    into out: UnsafeMutablePointer<Double>, _ tau: UnsafePointer<Double>, stride: Int, count: Int,
    model: Int, n: Int, numbers: UnsafePointer<Double>, shift: Double, rounds: Bool, kind: Int
  )
  static func mergeBalanced(
    into out: UnsafeMutablePointer<Double>, _ tau: UnsafePointer<Double>, stride: Int, count: Int,
    n: Int, numbers: UnsafePointer<Double>, shift: Double, rounds: Bool, kind: Int
  )
  static func addMagnitudes(
    of x: dfmk_input, minus b: dfmk_input, to sums: UnsafeMutableRawPointer, n: Int
  )
  static func addSquares(
    of x: dfmk_input, minus b: dfmk_input, to sums: UnsafeMutableRawPointer, n: Int
  )
  static func unify(
    into out: dfmk_output, base: dfmk_input, _ models: UnsafePointer<dfmk_model>, count: Int,
    bits: UnsafePointer<UnsafeMutableRawPointer?>?, n: Int,
    noticed: UnsafeMutablePointer<dfmk_noticed>
  )
  static func addUnified(
    into out: dfmk_output, base: dfmk_input, _ models: UnsafePointer<dfmk_model>, count: Int,
    task: Int, factor: Double, n: Int, noticed: UnsafeMutablePointer<dfmk_noticed>
  )
  static func addByBits(
    into out: dfmk_output, base: dfmk_input, _ vector: dfmk_input, bits: UnsafeRawPointer?,
    factor: Double, n: Int, noticed: UnsafeMutablePointer<dfmk_noticed>
  )
  static func addUnifiedSums(
    base: dfmk_input, _ models: UnsafePointer<dfmk_model>, count: Int,
    to sums: UnsafeMutablePointer<Double>, n: Int
  )
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
