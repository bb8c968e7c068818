import DFMergeBO
import DFMergeCore

extension Study {
  /// The chosen trial.
  public struct Best: Sendable {
    public let trial: StudyTrial
    /// What it was chosen by.
    public let criterion: Optimizer.Criterion
    /// Posterior mean and standard deviation (noise excluded) of the score there.
    public let mean: Double
    public let sd: Double
    /// The sum of what the scores miss of the tasks' floors; 0 for a feasible trial.
    public let violation: Double

    /// The 95 % interval of the noise-free score under the model; nil where an end is beyond the
    /// range of a double.
    public var interval: ClosedRange<Double>? {
      let (low, high) = (mean - 1.96 * sd, mean + 1.96 * sd)
      return low.isFinite && high.isFinite && low <= high ? low...high : nil
    }
  }

  /// Why a loop over trials should end.
  public enum StopReason: String, Sendable, Hashable {
    /// Evaluations that cost as much as the option `trials` says have been told.
    case trials
    /// `max_seconds` have passed since the study was made.
    case time
    /// A trial that keeps to all floors has reached `target`.
    case target
    /// The largest expected improvement was below `stop_improvement` for two results in a row.
    case improvement
  }

  /// The best trial, as the option `best_by` says.
  /// - Throws: `.invalidState` before any result, `.allTrialsFailed` where no trial has a score.
  public func best() throws(DFMergeError) -> Best {
    let criterion: Optimizer.Criterion =
      options.settings.bestByPosteriorMean ? .posteriorMean : .observed
    let found = try optimizer.best(by: criterion)
    return Best(
      trial: trials[found.number], criterion: criterion, mean: found.mean, sd: found.sd,
      violation: found.violation)
  }

  /// Posterior mean and standard deviation (noise excluded) of the score at a point in parameter
  /// units.
  /// - Throws: `.invalidArgument` for values out of bounds; as ``best()``.
  public func predict(_ values: [Double]) throws(DFMergeError) -> (mean: Double, sd: Double) {
    if let problem = options.space.problem(of: values) {
      throw DFMergeError(.invalidArgument, "The point to predict at \(problem).")
    }
    return try optimizer.predict(options.space.point(of: values))
  }

  /// Each parameter's share of the expected score's variation; they sum to 1. See
  /// ``Optimizer/importance()``.
  /// - Throws: as ``best()``.
  public func importance() throws(DFMergeError) -> [Double] { try optimizer.importance() }

  /// The trials between which only a preference among the tasks can choose. See
  /// ``Optimizer/paretoFront(includingObservations:)``.
  public var paretoFront: [StudyTrial] { optimizer.paretoFront().map { trials[$0] } }

  /// What the evaluations told have cost, in units of full ones; observations cost nothing.
  public var cost: Double { optimizer.cost }

  /// The largest expected improvement that one more evaluation promises, in score units. Computed
  /// once per result told.
  /// - Throws: as ``best()``.
  public func improvementLeft() throws(DFMergeError) -> Double {
    if let kept = keptImprovement, kept.told == optimizer.history.count { return kept.value }
    let value = try optimizer.improvementLeft()
    keptImprovement = (optimizer.history.count, value)
    return value
  }

  /// Why a loop over trials should end now; nil to go on. Asking further is allowed all the same.
  ///
  /// The rule on the improvement waits for the trials of the option `initial`, and judges the
  /// results that have come in at each call.
  /// - Throws: `.notPositiveDefinite` as ``Optimizer/ask()``.
  public func stopReason() throws(DFMergeError) -> StopReason? {
    let settings = options.settings
    if optimizer.cost >= Double(settings.trials) { return .trials }
    if let target = settings.target, trials.contains(where: { reaches(target, $0) }) {
      return .target
    }
    if let limit = settings.maxSeconds, SearchClock.now() - started >= limit { return .time }
    return try hasLittleToGain() ? .improvement : nil
  }

  private func hasLittleToGain() throws(DFMergeError) -> Bool {
    let settings = options.settings
    let told = optimizer.history.count
    guard settings.stopImprovement > 0, told >= settings.initial, hasScore else { return false }
    if judged.told != told {
      let isLow = try improvementLeft() < settings.stopImprovement
      judged = (told, isLow ? judged.low + 1 : 0)
    }
    return judged.low >= 2
  }

  /// Whether some trial has a value.
  var hasScore: Bool { trials.contains { $0.state == .complete } }

  private func reaches(_ target: Double, _ trial: StudyTrial) -> Bool {
    guard let value = trial.value, let scores = trial.scores else { return false }
    return value >= target && options.objective.violation(scores.values) == 0
  }
}
