import CDFMergeShims
import DFMergeCore

extension Kernels {
  /// `out = b + scale * a`, with `a` what the terms of the elected sign come to; see
  /// ``SignElection``. No models give `b`.
  @discardableResult
  @inline(never)
  package static func electedTaskVectors(
    into out: MutableElements, base: Elements, models: [Elements], terms: [TaskVectorTerm],
    election: SignElection, mask: BernoulliMask? = nil, count: Int
  ) -> StoreOutcome {
    let loops = CPULevel.current.loops
    return storeTerms(into: out, base, models, terms, mask, count) { stretch, numbers, noticed in
      loops.elect(
        into: stretch.out, base: stretch.base, stretch.models, count: models.count,
        numbers: numbers, byCount: election.vote == .count,
        aggregate: election.aggregate.rawValue, zeroSign: election.tie.rawValue,
        scale: election.scale, n: stretch.n, noticed: noticed)
    }
  }

  /// `out = b + sum_m f_m tau_m` over the elements that are neither trimmed nor dropped. Weights
  /// are not used. With thresholds of 0 and no mask these are the numbers of `taskVectorSum`.
  @discardableResult
  @inline(never)
  package static func termSum(
    into out: MutableElements, base: Elements, models: [Elements], terms: [TaskVectorTerm],
    mask: BernoulliMask? = nil, count: Int
  ) -> StoreOutcome {
    let loops = CPULevel.current.loops
    return storeTerms(into: out, base, models, terms, mask, count) { stretch, numbers, noticed in
      loops.addTerms(
        into: stretch.out, base: stretch.base, stretch.models, count: models.count,
        numbers: numbers, n: stretch.n, noticed: noticed)
    }
  }

  /// The number of elements whose vote is positive less that of those whose vote is negative.
  @inline(never)
  package static func signBalance(
    base: Elements, models: [Elements], terms: [TaskVectorTerm], vote: SignElection.Vote,
    mask: BernoulliMask? = nil, count: Int
  ) -> Int {
    let loops = CPULevel.current.loops
    let numbers = numbers(of: terms, models, base)
    var balance = 0
    forEachMaskedRun(base, models, mask, count) { base, models, range in
      let whole = range.count & ~(stepSize &- 1)
      var table = models.map { model(of: $0.input) }
      balance &+= loops.signBalance(
        base: base.input, table, count: models.count, numbers: numbers, byCount: vote == .count,
        n: whole)
      guard whole < range.count else { return }
      FilledStep.with(operands: models.count &+ 1) { step in
        // Zeros differ from each other by nothing, and have no vote.
        let live = range.count &- whole
        let last = step.copyWithZeros(base.input.advanced(by: whole), live: live)
        for m in table.indices {
          table[m].x = step.copyWithZeros(table[m].x.advanced(by: whole), live: live)
        }
        balance &+= loops.signBalance(
          base: last, table, count: models.count, numbers: numbers, byCount: vote == .count,
          n: stepSize)
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
      [
        term.smallestKept(roundsToFloat: roundsToFloat(model, base)), term.factor, term.weight,
      ]
    }
  }

  /// Writes `out` with a loop over the models, masked.
  private static func storeTerms(
    into out: MutableElements, _ base: Elements, _ models: [Elements], _ terms: [TaskVectorTerm],
    _ mask: BernoulliMask?, _ count: Int,
    _ loop: (LoopOperands.Stretch, [Double], UnsafeMutablePointer<dfmk_noticed>) -> Void
  ) -> StoreOutcome {
    if models.isEmpty { return convert(into: out, base, count: count) }
    let numbers = numbers(of: terms, models, base)
    let factors = terms.map(\.factor)
    var outcome = StoreOutcome()
    forEachMaskedRun(base, models, mask, count) { base, models, range in
      let operands = LoopOperands(
        out: out.advanced(by: range.lowerBound), base: base, models: models, factors: factors)
      outcome.add(operands.run(count: range.count) { loop($0, numbers, $1) })
    }
    return outcome
  }

  /// Calls `body` with base and models, dropped elements of these being the base's: for all of them
  /// at once without a mask, otherwise for as many as the copies stay in the cache.
  private static func forEachMaskedRun(
    _ base: Elements, _ models: [Elements], _ mask: BernoulliMask?, _ count: Int,
    _ body: (_ base: Elements, _ models: [Elements], _ range: Range<Int>) -> Void
  ) {
    guard count > 0 else { return }
    guard let mask else { return body(base, models, 0..<count) }
    precondition(mask.densities.count == models.count, "One density per model.")
    let loops = CPULevel.current.loops
    var masked = models
    let slots = models.count &+ 1
    let width = models.reduce(2) { max($0, BernoulliMask.scratchWidth($1, base)) }
    // Whole groups of draws, where the mask starts with one.
    let size = min(max(maskedBytes / (slots &* width) & ~31, 64), 8192)
    withUnsafeTemporaryAllocation(byteCount: slots &* size &* width, alignment: 64) { memory in
      guard let spare = memory.baseAddress else { return }
      forEachChunk(count: count, size: size) { chunk in
        for m in models.indices {
          masked[m] = mask.applied(
            to: models[m], base: base, chunk, model: m, scratch: spare + (m &+ 1) &* size &* width,
            spare: spare, loops: loops)
        }
        body(
          base.advanced(by: chunk.start), masked, chunk.start..<(chunk.start &+ chunk.count))
      }
    }
  }

  /// What the copies of masked elements take together: not more than stays in a core's own cache.
  private static let maskedBytes = 1 << 16
}
