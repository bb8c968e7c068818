import DFMergeCore
import Glibc

extension Optimizer {
  /// Records the scores of a suggestion's first stage, on a fixed subset of the evaluation, and
  /// decides whether the rest is worth its cost.
  ///
  /// Rule:        finish where the expected improvement of the full score at the point, given
  ///              everything told including this, per cost of finishing (1 - share) is at least
  ///              0.22 of the largest expected improvement anywhere in the cube, per full
  ///              evaluation. Both improve on the highest posterior mean of a full evaluation. The
  ///              start (all but ``Origin/search``) is always finished.
  /// Model:       the subset's score is the full one plus a bias plus an error that is smooth over
  ///              the cube, all learnt from the trials that have both. The variances of first
  ///              stages are not read: their error is learnt.
  /// Determinism: a pure function of (options, the trials told, the suggestions pending).
  /// Cost:        up to one ``ask()``.
  /// - Parameter scores: one per task, as for ``tell(_:scores:)``.
  /// - Returns: true: evaluate the rest and tell the full scores; the suggestion stays pending.
  ///   false: the trial is settled, as one that has no full score; it is never the best.
  /// - Throws: `.invalidState` where `number` is not pending, its first stage is told already or
  ///   ``OptimizerOptions/subsetShare`` is not set; otherwise as ``tell(_:scores:)``. Nothing
  ///   changes then.
  public func tellSubset(_ number: Int, scores: Scores) throws(DFMergeError) -> Bool {
    guard let share = options.subsetShare else {
      throw DFMergeError(
        .invalidState,
        "The first stage of trial \(number) was told, but evaluations have one stage; set "
          + "subset_share.")
    }
    let suggestion = try pendingSuggestion(number)
    guard pendingSubsets[number] == nil else {
      throw DFMergeError(
        .invalidState, "The first stage of trial \(number) is told already; tell it once.")
    }
    try check(scores, of: number)
    let trial = Trial(
      number: number, point: suggestion.point, origin: suggestion.origin, scores: nil,
      subset: scores)
    if try isWorthFinishing(trial, share: share) {
      pendingSubsets[number] = scores
      return true
    }
    try record(trial)
    return false
  }

  /// The share of the promise elsewhere, per cost, at which a trial is finished. A full score also
  /// teaches the model, which expected improvement does not count, so that 1 ends too many trials.
  /// Mean normalised regret over costs 11 to 60, and at 60, on six merging functions with 400
  /// examples a task and a share of 0.25, 8 seeds each: one stage 0.047, 0.009; two stages with 1
  /// 0.043, 0.013; with 0.5 0.041, 0.011; with 0.22 0.042, 0.010. The value was chosen on these.
  private static let finishingThreshold = 0.22

  private func isWorthFinishing(_ trial: Trial, share: Double) throws(DFMergeError) -> Bool {
    guard trial.origin == .search, history.contains(where: { $0.value != nil }) else { return true }
    let others = pending.filter { $0.number != trial.number }
    let model = try model(believing: others, question: trial)
    let random = CounterRandom(
      seed: options.seed, purpose: "subset.draws", index: UInt64(trial.number))
    let function = try AcquisitionFunction(
      .logExpectedImprovement(xi: 0), model: model, highest: nil, random: random)
    let search = AcquisitionSearch(
      function: function, surrogate: model, known: [], seed: options.seed, number: trial.number)
    let elsewhere = function.value(search.maximise(.incumbents))
    return function.value(trial.point) - log(1 - share)
      >= elsewhere + log(Optimizer.finishingThreshold)
  }
}
