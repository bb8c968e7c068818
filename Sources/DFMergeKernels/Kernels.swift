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
/// - Arrays that belong together have one entry per model. No function allocates more than about
///   100 kB, plus 0.5 kB per model above sixty.
///
/// Glossary: `x` model, `b` base, `c` coefficient, `F` Fisher value, `W` weight of a model.
package enum Kernels {
  /// `out = x`, rounded when `out` is a narrower type. The same type is copied byte by byte.
  @discardableResult
  @inline(never)
  package static func convert(
    into out: MutableElements, _ x: Elements, count: Int
  ) -> StoreOutcome {
    guard count > 0 else { return StoreOutcome() }
    if out.dtype == x.dtype {
      out.pointer.copyMemory(from: x.pointer, byteCount: count &* (x.dtype.bitWidth >> 3))
      return outcome(of: out, count: count)
    }
    let loops = CPULevel.current.loops
    Workspace.with(models: 0, slots: 1) { workspace in
      var start = 0
      while start < count {
        let n = min(workspace.chunkSize, count &- start)
        widen(x.advanced(by: start), count: n, wide: true, into: workspace.slot(0), loops: loops)
        narrow(
          UnsafeRawPointer(workspace.slot(0)), count: n, into: out.advanced(by: start),
          loops: loops)
        start &+= n
      }
    }
    return outcome(of: out, count: count)
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
    return sum(into: out, base: nil, inputs, weights, count)
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
    return sum(into: out, base: base, models, coefficients, count)
  }

  /// Both sums: they differ in the base only, which is taken from each input and added at the end.
  private static func sum(
    into out: MutableElements, base: Elements?, _ inputs: [Elements], _ weights: [Double],
    _ count: Int
  ) -> StoreOutcome {
    guard count > 0 else { return StoreOutcome() }
    let loops = CPULevel.current.loops
    let wide = needsDoubles(inputs, base)
    let models = inputs.count
    Workspace.with(models: models, slots: models &+ 2) { workspace in
      let sums = workspace.slot(0)
      weights.withUnsafeBufferPointer { weights in
        guard let w = weights.baseAddress ?? workspace.noNumbers else { return }
        forEachChunk(count: count, size: workspace.chunkSize) { chunk in
          for m in 0..<models {
            workspace.models[m] = staged(
              inputs[m], chunk, wide: wide, scratch: workspace.slot(m &+ 2), loops: loops)
          }
          let n = chunk.padded
          let x = UnsafePointer(workspace.models)
          if let base {
            let b = staged(base, chunk, wide: wide, scratch: workspace.slot(1), loops: loops)
            loops.addTaskVectors(
              into: sums, base: b, x, coefficients: w, models: models, n: n, wide: wide)
          } else {
            loops.addProducts(into: sums, x, weights: w, models: models, n: n, wide: wide)
          }
          narrow(
            UnsafeRawPointer(sums), count: chunk.count, into: out.advanced(by: chunk.start),
            loops: loops)
        }
      }
    }
    return outcome(of: out, count: count)
  }

  /// Whether some input cannot be read as floats without loss.
  @inline(__always)
  static func needsDoubles(_ inputs: [Elements], _ base: Elements? = nil) -> Bool {
    if let base, base.dtype == .f64 { return true }
    for input in inputs where input.dtype == .f64 { return true }
    return false
  }
}
