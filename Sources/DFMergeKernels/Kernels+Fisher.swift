import DFMergeCore

extension Kernels {
  /// DF-Merge's sum: `out = b + M * (sum_m W_m (c_m (x_m - b))) / (sum_m W_m)` over `M` models,
  /// with `W_m = (F_m + epsilon)^exponent`.
  ///
  /// - `exponent == 0` is `taskVectorSum`, to the bit; so is a single model, whose weight cancels
  ///   (with coefficient 1 the model itself, bit for bit where the types agree). The Fisher values
  ///   are not read then. No models give `b`.
  /// - `exponent == 1` adds, `exponent == 0.5` takes the square root, both rounded correctly; any
  ///   other exponent has a relative error of the weight below `2.2e-9 + 1.3e-10 |exponent|`, see
  ///   `power`.
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
    let wide = needsDoubles(models, base)
    // Weights that are more than a sum are computed first, a chunk at a time.
    let plan = FisherPlan(fishers, wide: wide, isPlain: exponent == 1)
    let power = VectorPower(exponent: exponent)
    let modelCount = models.count
    Workspace.with(models: modelCount, slots: 2 &* modelCount &+ 4) { workspace in
      let sums = workspace.slot(0)
      coefficients.withUnsafeBufferPointer { coefficients in
        guard let c = coefficients.baseAddress else { return }
        forEachChunk(count: count, size: workspace.chunkSize) { chunk in
          for m in 0..<modelCount {
            workspace.models[m] = staged(
              models[m], chunk, wide: wide, scratch: workspace.slot(m &+ 4), loops: loops)
            let slot = workspace.slot(m &+ modelCount &+ 4)
            if plan.isDirect {
              workspace.weights[m] = staged(
                fishers[m].lower, chunk, wide: wide, scratch: slot, loops: loops)
            } else {
              fisherValues(fishers[m], chunk, plan, workspace, into: slot, loops: loops)
              raise(slot, epsilon: epsilon, power: power, chunk.padded, loops)
              workspace.weights[m] = UnsafeRawPointer(slot)
            }
          }
          let b = staged(base, chunk, wide: wide, scratch: workspace.slot(1), loops: loops)
          loops.mergeTaskVectors(
            into: sums, base: b, UnsafePointer(workspace.models),
            weights: UnsafePointer(workspace.weights), coefficients: c,
            epsilon: plan.isDirect ? epsilon : 0, models: modelCount, n: chunk.padded, wide: wide,
            weightsAreWide: !plan.isDirect)
          narrow(
            UnsafeRawPointer(sums), count: chunk.count, into: out.advanced(by: chunk.start),
            loops: loops)
        }
      }
    }
    return outcome(of: out, fishers: fishers, count: count)
  }
}

/// How the Fisher values of a call are read.
struct FisherPlan {
  /// The inner loop reads them as it reads the models: no weights are computed beforehand.
  let isDirect: Bool
  /// They are read as doubles.
  let wide: Bool

  @inline(__always)
  init(_ fishers: [FisherElements], wide modelsAreWide: Bool, isPlain: Bool) {
    var wide = modelsAreWide
    var between = false
    for fisher in fishers {
      if fisher.lower.dtype == .f64 || fisher.upper?.dtype == .f64 { wide = true }
      if fisher.upper != nil { between = true }
    }
    self.wide = wide
    isDirect = isPlain && !between && wide == modelsAreWide
  }
}

/// Writes `F` as doubles into `out`. Uses the slots 2 and 3 of the workspace.
@inline(__always)
func fisherValues(
  _ fisher: FisherElements, _ chunk: Chunk, _ plan: FisherPlan, _ workspace: Workspace,
  into out: UnsafeMutableRawPointer, loops: any InnerLoopSet.Type
) {
  let lower = staged(
    fisher.lower, chunk, wide: plan.wide, scratch: workspace.slot(2), loops: loops)
  let upper = fisher.upper.map {
    staged($0, chunk, wide: plan.wide, scratch: workspace.slot(3), loops: loops)
  }
  loops.interpolate(
    into: out, lower: lower, upper: upper, fraction: fisher.fraction, n: chunk.padded,
    wide: plan.wide)
}

/// `W = (F + epsilon)^exponent`, in place.
private func raise(
  _ values: UnsafeMutableRawPointer, epsilon: Double, power: VectorPower, _ n: Int,
  _ loops: any InnerLoopSet.Type
) {
  if power.exponent == 1 {
    loops.add(epsilon, to: values, n: n)
  } else if power.exponent == 0.5 {
    loops.squareRoot(of: values, adding: epsilon, n: n)
  } else {
    power.raise(values, adding: epsilon, count: n, loops: loops)
  }
}
