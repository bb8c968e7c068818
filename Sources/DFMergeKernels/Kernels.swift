import DFMergeCore

/// Element-wise arithmetic and reductions over raw memory.
///
/// Rules that every function keeps:
/// - Any mix of F64, F32, F16 and BF16; any address; any count, 0 included.
/// - Products and sums are formed in double, models in the order given; the result is rounded once
///   to the type of `out`, to nearest, ties to even. Too large for F32, F16 or BF16 gives infinity.
/// - An element depends on its own inputs only: cutting a call into several at any place, on any
///   number of threads, gives the same bits.
/// - `out` never shares memory with an input. (A caller that merges in place reads from a copy.)
/// - A kernel that writes `out` returns what it noticed; see ``StoreOutcome``.
/// - Arrays that belong together have one entry per model. No function allocates more than 100 kB,
///   plus 5 kB per model above ten.
///
/// Glossary: `x` model, `b` base, `c` coefficient, `F` Fisher value, `W` weight of a model.
package enum Kernels {
  /// `out = x`, rounded when `out` is a narrower type. The same type is copied byte by byte.
  @discardableResult
  @inline(never)
  package static func convert(
    into out: MutableElements, _ x: Elements, count: Int
  ) -> StoreOutcome {
    let loops = CPULevel.current.loops
    return LoopOperands(out: out, base: x, models: [], factors: []).run(count: count) {
      if out.dtype == x.dtype {
        loops.copy(into: $0.out, $0.base, n: $0.n, noticed: $1)
      } else {
        loops.convert(into: $0.out, $0.base, n: $0.n, noticed: $1)
      }
    }
  }

  /// `out = sum_m w_m x_m`.
  ///
  /// One input of weight 1 is converted, bit for bit where the types agree. No inputs give 0.
  @discardableResult
  @inline(never)
  package static func linearCombination(
    into out: MutableElements, _ inputs: [Elements], weights: [Double], count: Int
  ) -> StoreOutcome {
    precondition(inputs.count == weights.count, "One weight per input.")
    if inputs.count == 1, weights[0] == 1 {
      return convert(into: out, inputs[0], count: count)
    }
    let loops = CPULevel.current.loops
    return LoopOperands(out: out, models: inputs, factors: weights).run(count: count) {
      loops.addProducts(into: $0.out, $0.models, count: inputs.count, n: $0.n, noticed: $1)
    }
  }

  /// `out = b + sum_m c_m (x_m - b)`.
  ///
  /// One model of coefficient 1 is converted, bit for bit where the types agree, for `b + (x - b)`
  /// may round. No models give `b`.
  @discardableResult
  @inline(never)
  package static func taskVectorSum(
    into out: MutableElements, base: Elements, models: [Elements], coefficients: [Double],
    count: Int
  ) -> StoreOutcome {
    precondition(models.count == coefficients.count, "One coefficient per model.")
    if models.isEmpty { return convert(into: out, base, count: count) }
    if models.count == 1, coefficients[0] == 1 {
      return convert(into: out, models[0], count: count)
    }
    let loops = CPULevel.current.loops
    return LoopOperands(out: out, base: base, models: models, factors: coefficients)
      .run(count: count) {
        loops.addTaskVectors(
          into: $0.out, base: $0.base, $0.models, count: models.count, n: $0.n, noticed: $1)
      }
  }
}
