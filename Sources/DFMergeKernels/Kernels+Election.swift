import CDFMergeShims
import DFMergeCore

extension Kernels {
  /// `out = b + scale * a`, with `a` what the terms of the elected sign come to; see
  /// ``SignElection``. No models give `b`.
  @discardableResult
  @inline(never)
  package static func electedTaskVectors(
    into out: MutableElements, base: Elements, models: [Elements], terms: [TaskVectorTerm],
    election: SignElection, mask: (any ElementMask)? = nil, count: Int
  ) -> StoreOutcome {
    let loops = CPULevel.current.loops
    return storeTerms(into: out, base, models, terms, mask, count) {
      stretch, areChanges, numbers, noticed in
      loops.elect(
        into: stretch.out, base: stretch.base, stretch.models, count: models.count,
        numbers: numbers, changes: areChanges, vote: election.vote.rawValue,
        aggregate: election.aggregate.rawValue, zeroSign: election.tie.rawValue,
        scale: election.scale, leastWeight: election.leastWeight, n: stretch.n, noticed: noticed)
    }
  }

  /// `out = b + sum_m f_m tau_m` over the elements that are neither trimmed nor dropped. Weights
  /// are not used. With thresholds of 0 and no mask these are the numbers of `taskVectorSum`.
  @discardableResult
  @inline(never)
  package static func termSum(
    into out: MutableElements, base: Elements, models: [Elements], terms: [TaskVectorTerm],
    mask: (any ElementMask)? = nil, count: Int
  ) -> StoreOutcome {
    let loops = CPULevel.current.loops
    return storeTerms(into: out, base, models, terms, mask, count) {
      stretch, areChanges, numbers, noticed in
      loops.addTerms(
        into: stretch.out, base: stretch.base, stretch.models, count: models.count,
        numbers: numbers, changes: areChanges, n: stretch.n, noticed: noticed)
    }
  }

  /// The number of elements whose vote is positive less that of those whose vote is negative.
  @inline(never)
  package static func signBalance(
    base: Elements, models: [Elements], terms: [TaskVectorTerm], vote: SignElection.Vote,
    mask: (any ElementMask)? = nil, count: Int
  ) -> Int {
    let loops = CPULevel.current.loops
    let numbers = numbers(of: terms, models, base)
    var balance = 0
    forEachRun(base, models, mask, count) { run in
      let whole = run.count & ~(stepSize &- 1)
      let areChanges = run.areChanges
      var table = run.models.map { model(of: $0.input) }
      balance &+= loops.signBalance(
        base: run.base.input, table, count: models.count, numbers: numbers, changes: areChanges,
        vote: vote.rawValue, n: whole)
      guard whole < run.count else { return }
      FilledStep.with(operands: models.count &+ 1) { step in
        // Zeros differ from each other by nothing, and have no vote.
        let live = run.count &- whole
        let last = step.copyWithZeros(run.base.input.advanced(by: whole), live: live)
        for m in table.indices {
          table[m].x = step.copyWithZeros(table[m].x.advanced(by: whole), live: live)
        }
        balance &+= loops.signBalance(
          base: last, table, count: models.count, numbers: numbers, changes: areChanges,
          vote: vote.rawValue, n: stepSize)
      }
    }
    return balance
  }

  /// Whether `tau` is the float nearest to the difference even where that is formed in double.
  @inline(__always)
  static func roundsToFloat(_ model: Elements, _ base: Elements) -> Bool {
    model.dtype != .f64 && base.dtype != .f64
  }

  /// A model without Fisher values, as the loops take it.
  static func model(of x: dfmk_input) -> dfmk_model {
    dfmk_model(x: x, lower: .nothing, upper: .nothing, fraction: 0, factor: 0, floor: 0)
  }

  /// What the loops take of the terms.
  private static func numbers(
    of terms: [TaskVectorTerm], _ models: [Elements], _ base: Elements
  ) -> [Double] {
    precondition(models.count == terms.count, "One term per model.")
    return zip(models, terms).flatMap { model, term in
      let rounds = roundsToFloat(model, base)
      return [
        term.smallestKept(roundsToFloat: rounds), term.largestKept(roundsToFloat: rounds),
        term.factor, term.weight,
      ]
    }
  }

  /// Writes `out` with a loop over the models, masked.
  private static func storeTerms(
    into out: MutableElements, _ base: Elements, _ models: [Elements], _ terms: [TaskVectorTerm],
    _ mask: (any ElementMask)?,
    _ count: Int,
    _ loop: (LoopOperands.Stretch, Bool, [Double], UnsafeMutablePointer<dfmk_noticed>) -> Void
  ) -> StoreOutcome {
    if models.isEmpty { return convert(into: out, base, count: count) }
    let numbers = numbers(of: terms, models, base)
    let factors = terms.map(\.factor)
    var outcome = StoreOutcome()
    forEachRun(base, models, mask, count) { run in
      let operands = LoopOperands(
        out: out.advanced(by: run.start), base: run.base, models: run.models, factors: factors)
      outcome.add(operands.run(count: run.count) { loop($0, run.areChanges, numbers, $1) })
    }
    return outcome
  }
}
