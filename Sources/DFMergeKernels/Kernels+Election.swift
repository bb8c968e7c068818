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
    let byCount = election.vote == .count
    return storeTerms(into: out, base, models, terms, mask, count) { run, sums in
      run.loops.elect(
        into: sums, base: run.base, run.models, numbers: run.numbers, models: models.count,
        n: run.count, wide: run.isWide, byCount: byCount,
        aggregate: election.aggregate.rawValue, zeroSign: election.tie.rawValue,
        scale: election.scale)
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
    storeTerms(into: out, base, models, terms, mask, count) { run, sums in
      run.loops.addTerms(
        into: sums, base: run.base, run.models, numbers: run.numbers, models: models.count,
        n: run.count, wide: run.isWide)
    }
  }

  /// The number of elements whose vote is positive less that of those whose vote is negative.
  @inline(never)
  package static func signBalance(
    base: Elements, models: [Elements], terms: [TaskVectorTerm], vote: SignElection.Vote,
    mask: BernoulliMask? = nil, count: Int
  ) -> Int {
    var balance = 0
    forEachTermRun(base, models, terms, mask, count) { run, _, _ in
      balance &+= run.loops.signBalance(
        base: run.base, run.models, numbers: run.numbers, models: models.count, n: run.count,
        wide: run.isWide, byCount: vote == .count)
    }
    return balance
  }

  /// A chunk whose elements are ready for a loop.
  private struct TermRun {
    let loops: any InnerLoopSet.Type
    let base: UnsafeRawPointer
    let models: UnsafePointer<UnsafeRawPointer>
    let numbers: UnsafePointer<Double>
    /// Whole vectors: elements after the last differ from the base by nothing.
    let count: Int
    let isWide: Bool
  }

  @inline(__always)
  private static func storeTerms(
    into out: MutableElements, _ base: Elements, _ models: [Elements], _ terms: [TaskVectorTerm],
    _ mask: BernoulliMask?, _ count: Int, _ loop: (TermRun, UnsafeMutableRawPointer) -> Void
  ) -> StoreOutcome {
    if models.isEmpty { return convert(into: out, base, count: count) }
    forEachTermRun(base, models, terms, mask, count) { run, chunk, sums in
      loop(run, sums)
      narrow(
        UnsafeRawPointer(sums), count: chunk.count, into: out.advanced(by: chunk.start),
        loops: run.loops)
    }
    return outcome(of: out, count: count)
  }

  /// Calls `body` for each chunk, models masked, with room for its results.
  @inline(__always)
  private static func forEachTermRun(
    _ base: Elements, _ models: [Elements], _ terms: [TaskVectorTerm], _ mask: BernoulliMask?,
    _ count: Int, _ body: (TermRun, Chunk, UnsafeMutableRawPointer) -> Void
  ) {
    precondition(models.count == terms.count, "One term per model.")
    precondition(mask.map { $0.densities.count == models.count } ?? true, "One density per model.")
    guard count > 0 else { return }
    let loops = CPULevel.current.loops
    let isWide = needsDoubles(models, base)
    var numbers: [Double] = []
    for (model, term) in zip(models, terms) {
      numbers.append(term.smallestKept(roundsToFloat: roundsToFloat(model, base)))
      numbers.append(term.factor)
      numbers.append(term.weight)
    }
    Workspace.with(models: models.count, slots: models.count &+ 2) { workspace in
      numbers.withUnsafeBufferPointer { numbers in
        guard let numbers = numbers.baseAddress ?? workspace.noNumbers else { return }
        forEachChunk(count: count, size: workspace.chunkSize) { chunk in
          let b = staged(base, chunk, wide: isWide, scratch: workspace.slot(1), loops: loops)
          for m in models.indices {
            let scratch = workspace.slot(m &+ 2)
            var x = staged(models[m], chunk, wide: isWide, scratch: scratch, loops: loops)
            if let mask {
              x = mask.applied(
                to: x, base: b, chunk, model: m, wide: isWide, scratch: scratch, loops: loops)
            }
            workspace.models[m] = x
          }
          let run = TermRun(
            loops: loops, base: b, models: UnsafePointer(workspace.models), numbers: numbers,
            count: chunk.padded, isWide: isWide)
          body(run, chunk, workspace.slot(0))
        }
      }
    }
  }
}
