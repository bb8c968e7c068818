import DFMergeCore

/// The elements in which the models differ enough take part, those of all models alike.
///
/// Definition:  the spread of an element is the population variance of `tau_m` over the models,
///              formed in double and rounded to float unless an operand is F64: exactly 0 where the
///              models are alike. Elements with a spread of the threshold or more take part.
/// Edge cases:  NaN always takes part, so that it is seen.
package struct SpreadMask: ElementMask {
  package let threshold: Double

  package init(threshold: Double) { self.threshold = threshold }

  package func forEachRun(
    _ base: Elements, _ models: [Elements], count: Int, _ body: (MaskedRun) -> Void
  ) {
    let loops = CPULevel.current.loops
    let rounds = SpreadMask.rounds(base, models)
    Kernels.forEachDifferences(base, models, moreRows: 1, count: count) { rows, stride, start, n in
      let spread = rows + models.count &* stride
      let padded = (n &+ stepSize &- 1) & ~(stepSize &- 1)
      loops.spread(
        into: spread, rows, stride: stride, count: models.count, n: padded, rounds: rounds)
      for m in models.indices {
        loops.keep(rows + m &* stride, above: threshold, values: spread, n: padded)
      }
      body(
        MaskedRun(
          start: start, count: n, base: base.advanced(by: start),
          models: models.indices.map {
            Elements(pointer: UnsafeRawPointer(rows + $0 &* stride), dtype: .f64)
          }, areChanges: true))
    }
  }

  fileprivate static func rounds(_ base: Elements, _ models: [Elements]) -> Bool {
    base.dtype != .f64 && models.allSatisfy { $0.dtype != .f64 }
  }
}

extension Kernels {
  /// The spread of every element, as ``SpreadMask`` defines it.
  @inline(never)
  package static func spread(
    into values: UnsafeMutablePointer<Double>, base: Elements, models: [Elements], count: Int
  ) {
    let loops = CPULevel.current.loops
    let rounds = SpreadMask.rounds(base, models)
    forEachDifferences(base, models, moreRows: 1, count: count) { rows, stride, start, n in
      inWholeSteps(values + start, count: n, spare: rows + models.count &* stride) {
        found, padded in
        loops.spread(
          into: found, rows, stride: stride, count: models.count, n: padded, rounds: rounds)
      }
    }
  }
}
