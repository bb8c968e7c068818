import CDFMergeShims
import DFMergeCore
import DFMergeKernelsBaseline

extension Kernels {
  /// DF-Merge's sum: `out = b + M * (sum_m W_m (c_m (x_m - b))) / (sum_m W_m)` over `M` models,
  /// with `W_m = (F_m + epsilon)^exponent`.
  ///
  /// - `exponent == 0` is `taskVectorSum`, to the bit; so is a single model, whose weight cancels
  ///   (with coefficient 1 the model itself, bit for bit where the types agree). The Fisher values
  ///   are not read then. No models give `b`.
  /// - `exponent == 1` adds, `exponent == 0.5` takes the square root, both rounded correctly. Any
  ///   other exponent between 0 and 1 has a relative error of the weight below 2.5e-7, which is a
  ///   few units of a float's last place, where neither `out` nor a Fisher tensor is F64. In all
  ///   other cases it is below `2.2e-9 + 1.3e-10 |exponent|`, see `VectorPower`.
  /// - Where every weight is 0 (`epsilon == 0` and no Fisher value), all models weigh the same, as
  ///   they do in the limit of a small `epsilon`.
  /// - Fisher values are finite and not negative, `epsilon >= 0`: callers check them. A NaN weight
  ///   gives NaN, and so does an infinite one.
  ///
  /// Source: DF-Merge, arXiv 2504.18992, as its code computes it; the exponent is an extension.
  @discardableResult
  @inline(never)
  package static func dynamicFisherSum(
    into out: MutableElements, base: Elements, models: [Elements], fishers: [FisherElements],
    coefficients: [Double], epsilon: Double, exponent: Double, count: Int
  ) -> StoreOutcome {
    precondition(models.count == coefficients.count, "One coefficient per model.")
    if exponent == 0 || models.count <= 1 {
      return taskVectorSum(
        into: out, base: base, models: models, coefficients: coefficients, count: count)
    }
    precondition(models.count == fishers.count, "One Fisher tensor per model.")
    guard count > 0 else { return StoreOutcome() }
    let loops = CPULevel.current.loops
    let isDirect = exponent == 1 || exponent == 0.5
    let operands = LoopOperands(
      out: out, base: base, models: models, fishers: fishers, factors: coefficients,
      readsInChunks: !isDirect)
    var outcome = operands.run(count: count) { stretch, noticed in
      if isDirect {
        loops.mergeTaskVectors(
          into: stretch.out, base: stretch.base, stretch.models, count: models.count,
          weight: exponent == 1 ? FisherWeight.plain : FisherWeight.root, epsilon: epsilon,
          n: stretch.n, noticed: noticed)
      } else {
        mergeInChunks(
          stretch, models.count, adding: epsilon, VectorPower(exponent: exponent),
          inFloat: allowsFloat(exponent, out, fishers), loops, noticed)
      }
    }
    // A negative power of infinity is 0, and nothing shows.
    if exponent < 0 { outcome.hasInvalidFisher = operands.hasInvalidFisher(count: count) }
    return outcome
  }

  /// Whether powers may be computed in float. It is enough when the result is no wider, but has not
  /// the range for Fisher values of F64, nor for exponents other than those between 0 and 1.
  private static func allowsFloat(
    _ exponent: Double, _ out: MutableElements, _ fishers: [FisherElements]
  ) -> Bool {
    let isWide = fishers.contains { $0.lower.dtype == .f64 || $0.upper?.dtype == .f64 }
    return exponent > 0 && exponent < 1 && out.dtype != .f64 && !isWide
  }

  /// The sum with weights that are powers: computed beforehand, a chunk at a time.
  private static func mergeInChunks(
    _ stretch: LoopOperands.Stretch, _ modelCount: Int, adding epsilon: Double,
    _ power: VectorPower, inFloat: Bool, _ loops: any InnerLoopSet.Type,
    _ noticed: UnsafeMutablePointer<dfmk_noticed>
  ) {
    let chunkSize = 256
    let tableBytes = (modelCount &* MemoryLayout<dfmk_model>.stride &+ 63) & ~63
    withUnsafeTemporaryAllocation(
      byteCount: tableBytes &+ modelCount &* chunkSize &* 8, alignment: 64
    ) { memory in
      guard let table = memory.baseAddress else { return }
      let models = table.bindMemory(to: dfmk_model.self, capacity: modelCount)
      for start in stride(from: 0, to: stretch.n, by: chunkSize) {
        let n = min(chunkSize, stretch.n &- start)
        for m in 0..<modelCount {
          let weights = table + tableBytes + m &* chunkSize &* 8
          let given = stretch.models + m
          if inFloat {
            loops.temper(
              into: weights, given, start: start, n: n, epsilon: epsilon,
              exponent: power.exponent, noticed: noticed)
          } else {
            loops.interpolate(into: weights, given, start: start, n: n, noticed: noticed)
            power.raise(weights, adding: epsilon, count: n, loops: loops)
          }
          var model = given.pointee
          model.x = model.x.advanced(by: start)
          model.lower = Elements(pointer: weights, dtype: inFloat ? .f32 : .f64).input
          (models + m).initialize(to: model)
        }
        loops.mergeTaskVectors(
          into: stretch.out.advanced(by: start), base: stretch.base.advanced(by: start), models,
          count: modelCount, weight: FisherWeight.ready, epsilon: 0, n: n, noticed: noticed)
      }
    }
  }
}

private typealias FisherWeight = DFMergeKernelsBaseline.FisherWeight
