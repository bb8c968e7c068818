import DFMergeCore

/// How the task vectors of several models become one by their competition for each element.
///
/// Glossary: M models; l_m, u_m limits of the magnitudes; t_m, h_m smallest and largest balance that
/// count; c_m coefficients. For every element,
///
///     c = min(max(|tau_m|, l_m), u_m);  nu_m = (c - l_m) / (u_m - l_m)
///     beta_m = exp(M nu_m^2 - shift) tanh(tau_m sum_j tau_j)                         deltas
///     beta_m = exp(M nu_m^2 - shift) tanh(tau_m sum_j sign(tau_j) nu_j)              shares
///     beta_m = exp(M nu_m^2 - shift) sum_j tanh(sign(tau_m) nu_m sign(tau_j) nu_j)   pairs
///     s_m = (max(beta_m, t_m) - t_m) / (h_m - t_m)
///     out = b + sum_m(c_m s_m sign(tau_m) c) / max(sum_m(s_m), 1e-12)
///
/// `beta_m` is rounded to float unless an operand is F64, which is how it is ranked. `shift` is 0 for
/// up to 64 models and M - 64 for more, which keeps floats from overflowing and divides all balances
/// by the same number.
///
/// Edge cases: `u_m = l_m` makes `nu_m` 0; `h_m = t_m` makes `s_m` 0. A NaN difference gives NaN.
/// Source: PCB-Merging, Du et al. 2024, arXiv 2410.02396.
package struct CompetitionBalance: Sendable {
  package enum Kind: Int, Sendable, Hashable {
    case deltas
    case shares
    case pairs
  }

  private let kind: Kind
  /// Six per model; see `dfmerge_balance.h`.
  private let numbers: [Double]
  private let shift: Double

  /// - Parameters:
  ///   - lower, upper: the limits, one per model.
  ///   - smallest, largest: the balances t and h; empty while they are looked for.
  ///   - coefficients: one per model; empty for 1.
  package init(
    kind: Kind, lower: [Double], upper: [Double], smallest: [Double] = [],
    largest: [Double] = [], coefficients: [Double] = []
  ) {
    self.kind = kind
    func inverse(_ span: Double) -> Double { span > 0 ? 1 / span : 0 }
    numbers = lower.indices.flatMap { m -> [Double] in
      let (t, h) = smallest.isEmpty ? (0, 0) : (smallest[m], largest[m])
      return [
        lower[m], upper[m], inverse(upper[m] - lower[m]), t, inverse(h - t),
        coefficients.isEmpty ? 1 : coefficients[m],
      ]
    }
    shift = max(0, Double(lower.count) - 64)
  }

  private var count: Int { numbers.count / 6 }

  /// `beta` of one model for every element.
  package func balances(
    of model: Int, into values: UnsafeMutablePointer<Double>, base: Elements, models: [Elements],
    count: Int
  ) {
    precondition(models.count == self.count, "One model per limit.")
    let loops = CPULevel.current.loops
    let rounds = rounds(base, models)
    Kernels.forEachDifferences(base, models, moreRows: 1, count: count) { rows, stride, start, n in
      let spare = rows + models.count &* stride
      Kernels.inWholeSteps(values + start, count: n, spare: spare) { found, padded in
        loops.balances(
          into: found, rows, stride: stride, count: models.count, model: model, n: padded,
          numbers: numbers, shift: shift, rounds: rounds, kind: kind.rawValue)
      }
    }
  }

  /// Writes `out`.
  package func merge(
    into out: MutableElements, base: Elements, models: [Elements], count: Int
  ) -> StoreOutcome {
    precondition(models.count == self.count, "One model per limit.")
    let loops = CPULevel.current.loops
    let rounds = rounds(base, models)
    var outcome = StoreOutcome()
    Kernels.forEachDifferences(base, models, moreRows: 1, count: count) { rows, stride, start, n in
      let found = rows + models.count &* stride
      loops.mergeBalanced(
        into: found, rows, stride: stride, count: models.count,
        n: (n &+ stepSize &- 1) & ~(stepSize &- 1), numbers: numbers, shift: shift,
        rounds: rounds, kind: kind.rawValue)
      let change = Elements(pointer: UnsafeRawPointer(found), dtype: .f64)
      outcome.add(
        Kernels.linearCombination(
          into: out.advanced(by: start), [base.advanced(by: start), change], weights: [1, 1],
          count: n))
    }
    return outcome
  }

  private func rounds(_ base: Elements, _ models: [Elements]) -> Bool {
    base.dtype != .f64 && models.allSatisfy { $0.dtype != .f64 }
  }
}
