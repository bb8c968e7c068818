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
}
