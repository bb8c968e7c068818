import CDFMergeShims
import DFMergeCore

// Norms of task vectors, formed in double. The order of the additions depends on the number of
// elements, the types and the mask only; see the sums of `Kernels+Sums.swift`.
extension Kernels {
  /// `sum_i |tau_mi|` for each model m, over the elements that take part.
  package static func sumsOfMagnitudes(
    base: Elements, models: [Elements], mask: (any ElementMask)? = nil, count: Int
  ) -> [Double] {
    let loops = CPULevel.current.loops
    return norms(base, models, mask, count) { operands, sums, n in
      loops.addMagnitudes(of: operands[0], minus: operands[1], to: sums, n: n)
    }
  }

  /// `sum_i tau_mi^2` for each model m, over the elements that take part.
  package static func sumsOfSquares(
    base: Elements, models: [Elements], mask: (any ElementMask)? = nil, count: Int
  ) -> [Double] {
    let loops = CPULevel.current.loops
    return norms(base, models, mask, count) { operands, sums, n in
      loops.addSquares(of: operands[0], minus: operands[1], to: sums, n: n)
    }
  }

  @inline(never)
  private static func norms(
    _ base: Elements, _ models: [Elements], _ mask: (any ElementMask)?, _ count: Int, _ add: Adding
  ) -> [Double] {
    var found = [Double](repeating: 0, count: models.count)
    forEachRun(base, models, mask, count) { run in
      let under = run.areChanges ? .nothing : run.base.input
      for (m, model) in run.models.enumerated() {
        found[m] += sum(of: [model.input, under], run.count, add)
      }
    }
    return found
  }

  /// How many `|tau_i|` are above each of two limits, which are not negative.
  @inline(never)
  package static func countsAbove(
    _ limits: (Double, Double), _ model: Elements, base: Elements, count: Int
  ) -> (Int, Int) {
    let loops = CPULevel.current.loops
    let whole = count & ~(stepSize &- 1)
    return withUnsafeTemporaryAllocation(of: Int64.self, capacity: 2) { counts in
      guard let found = counts.baseAddress else { return (0, 0) }
      found.initialize(repeating: 0, count: 2)
      if whole > 0 {
        loops.countAbove(
          limits.0, limits.1, of: model.input, minus: base.input, n: whole, into: found)
      }
      if whole < count {
        FilledStep.with(operands: 2) { step in
          // Zeros differ from each other by nothing, which is above no limit.
          let last = step.copyWithZeros(model.input.advanced(by: whole), live: count &- whole)
          let under = step.copyWithZeros(base.input.advanced(by: whole), live: count &- whole)
          loops.countAbove(
            limits.0, limits.1, of: last, minus: under, n: stepSize, into: found)
        }
      }
      return (Int(found[0]), Int(found[1]))
    }
  }
}
