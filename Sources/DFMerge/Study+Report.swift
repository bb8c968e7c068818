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

    /// The 95 % interval of the noise-free score under the model; nil where an end is beyond the
    /// range of a double.
    public var interval: ClosedRange<Double>? {
      let (low, high) = (mean - 1.96 * sd, mean + 1.96 * sd)
      return low.isFinite && high.isFinite && low <= high ? low...high : nil
    }
  }

  /// Why a loop over trials should end.
  public enum StopReason: String, Sendable, Hashable {
    /// As many trials as the option `trials` says have been told.
    case trials
    /// `max_seconds` have passed since the study was made.
    case maxSeconds = "max_seconds"
    /// A score of `target` was reached.
    case target
  }

  /// The best trial, as the option `best_by` says.
  /// - Throws: `.invalidState` before any result, `.allTrialsFailed` where no trial has a score.
  public func best() throws(DFMergeError) -> Best {
    let criterion: Optimizer.Criterion =
      options.settings.bestByPosteriorMean ? .posteriorMean : .observed
    let found = try optimizer.best(by: criterion)
    return Best(trial: trials[found.number], criterion: criterion, mean: found.mean, sd: found.sd)
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

  /// Why a loop over trials should end now; nil to go on. Asking further is allowed all the same.
  public func stopReason() throws(DFMergeError) -> StopReason? {
    let settings = options.settings
    if trials.count(where: \.isTold) >= settings.trials { return .trials }
    if let target = settings.target,
      trials.contains(where: { trial in trial.value.map { $0 >= target } ?? false })
    {
      return .target
    }
    if let limit = settings.maxSeconds, SearchClock.now() - started >= limit { return .maxSeconds }
    return nil
  }
}
