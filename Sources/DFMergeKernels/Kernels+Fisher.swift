import CDFMergeShims
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
  @inline(never)
  package static func dynamicFisherSum(
    into out: MutableElements, base: Elements, models: [Elements], fishers: [FisherElements],
    coefficients: [Double], epsilon: Double, exponent: Double, count: Int
  ) {
    precondition(models.count == coefficients.count, "One coefficient per model.")
    if exponent == 0 || models.count <= 1 {
      return taskVectorSum(
        into: out, base: base, models: models, coefficients: coefficients, count: count)
    }
    precondition(models.count == fishers.count, "One Fisher tensor per model.")
    guard count > 0 else { return }
    let wide = needsDoubles(models, base)
    // Weights that are more than a sum are computed first, a chunk at a time.
    let plan = FisherPlan(fishers, wide: wide, isPlain: exponent == 1)
    let power = VectorPower(exponent: exponent)
    let modelCount = models.count
    Workspace.with(models: modelCount, slots: 2 &* modelCount &+ 4) { workspace in
      let sums = workspace.slot(0)
      coefficients.withUnsafeBufferPointer { c in
        forEachChunk(count: count, size: workspace.chunkSize) { chunk in
          for m in 0..<modelCount {
            workspace.models[m] = staged(
              models[m], chunk, wide: wide, scratch: workspace.slot(m &+ 4))
            let slot = workspace.slot(m &+ modelCount &+ 4)
            if plan.isDirect {
              workspace.weights[m] = staged(
                fishers[m].lower, chunk, wide: wide, scratch: slot)
            } else {
              fisherValues(fishers[m], chunk, plan, workspace, into: slot)
              raise(slot, epsilon: epsilon, power: power, chunk.padded)
              workspace.weights[m] = UnsafeRawPointer(slot)
            }
          }
          let b = staged(base, chunk, wide: wide, scratch: workspace.slot(1))
          let x = UnsafePointer(workspace.models)
          let w = UnsafePointer(workspace.weights)
          let n = chunk.padded
          switch (wide, plan.isDirect) {
          case (false, true):
            mergeTaskVectors(FloatLane.self, FloatLane.self, into: sums, b, x, w, c, epsilon, n)
          case (false, false):
            mergeTaskVectors(FloatLane.self, DoubleLane.self, into: sums, b, x, w, c, 0, n)
          case (true, let isDirect):
            mergeTaskVectors(
              DoubleLane.self, DoubleLane.self, into: sums, b, x, w, c,
              isDirect ? epsilon : 0, n)
          }
          narrow(
            UnsafeRawPointer(sums), count: chunk.count, into: out.advanced(by: chunk.start))
        }
      }
    }
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
  into out: UnsafeMutableRawPointer
) {
  let lower = staged(fisher.lower, chunk, wide: plan.wide, scratch: workspace.slot(2))
  let upper = fisher.upper.map {
    staged($0, chunk, wide: plan.wide, scratch: workspace.slot(3))
  }
  if plan.wide {
    interpolate(DoubleLane.self, lower, upper, fisher.fraction, into: out, chunk.padded)
  } else {
    interpolate(FloatLane.self, lower, upper, fisher.fraction, into: out, chunk.padded)
  }
}

@inline(__always)
private func interpolate<F: Lane>(
  _: F.Type, _ lower: UnsafeRawPointer, _ upper: UnsafeRawPointer?, _ fraction: Double,
  into out: UnsafeMutableRawPointer, _ n: Int
) {
  var i = 0
  while i < n {
    var values = F.load(lower + i &* F.width)
    if let upper { values += (F.load(upper + i &* F.width) - values) * fraction }
    out.storeBytes(of: values, toByteOffset: i &* 8, as: Doubles.self)
    i &+= 8
  }
}

/// `W = (F + epsilon)^exponent`, in place.
@inline(never)
private func raise(
  _ values: UnsafeMutableRawPointer, epsilon: Double, power: VectorPower, _ n: Int
) {
  for offset in stride(from: 0, to: n &* 8, by: 64) {
    let sum = values.load(fromByteOffset: offset, as: Doubles.self) + epsilon
    let weight: Doubles
    if power.exponent == 1 {
      weight = sum
    } else if power.exponent == 0.5 {
      weight = dfmk_sqrt_f64x8(sum)
    } else {
      weight = power(sum)
    }
    values.storeBytes(of: weight, toByteOffset: offset, as: Doubles.self)
  }
}

/// The inner loop of `dynamicFisherSum`, with `W = w + epsilon`.
@inline(__always)
private func mergeTaskVectors<X: Lane, W: Lane>(
  _: X.Type, _: W.Type, into out: UnsafeMutableRawPointer, _ base: UnsafeRawPointer,
  _ x: UnsafePointer<UnsafeRawPointer>, _ w: UnsafePointer<UnsafeRawPointer>,
  _ c: UnsafeBufferPointer<Double>, _ epsilon: Double, _ n: Int
) {
  let modelCount = Double(c.count)
  var i = 0
  while i < n {
    let b = X.load(base + i &* X.width)
    var top = Doubles()
    var bottom = Doubles()
    for m in 0..<c.count {
      let weight = W.load(w[m] + i &* W.width) + epsilon
      top += (X.load(x[m] + i &* X.width) - b) * c[m] * weight
      bottom += weight
    }
    if dfmk_any_zero(bottom) {
      // Lanes without any weight: plain sums, which are those with every weight 1.
      var plain = Doubles()
      for m in 0..<c.count { plain += (X.load(x[m] + i &* X.width) - b) * c[m] }
      let isZero = bottom .== 0
      top = (top * modelCount).replacing(with: plain, where: isZero)
      bottom = bottom.replacing(with: 1, where: isZero)
    } else {
      top *= modelCount
    }
    out.storeBytes(of: b + top / bottom, toByteOffset: i &* 8, as: Doubles.self)
    i &+= 8
  }
}
