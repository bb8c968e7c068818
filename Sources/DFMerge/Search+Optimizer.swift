import DFMergeBO
import DFMergeCore

extension Search {
  /// The optimiser that the options ask for.
  static func makeOptimizer(
    _ options: SearchOptions, _ space: SearchSpace
  ) throws(DFMergeError) -> Optimizer {
    var settings = options.isPaperPreset ? OptimizerOptions.paper : OptimizerOptions.default
    settings.seed = options.seed
    settings.initial = options.initial
    settings.informed = options.isInformed ? space.informedPoints() : []
    settings.acquisition =
      switch options.acquisition {
      case "ei": .expectedImprovement(xi: options.xi)
      case "log_ei": .logExpectedImprovement(xi: options.xi)
      case "ucb": .upperConfidenceBound(kappa: options.kappa)
      default: OptimizerOptions.default.acquisition
      }
    return try Optimizer(dimension: space.dimension, options: settings)
  }

  /// Takes over a trial that a journal recorded.
  func take(_ record: TrialRecord) throws(DFMergeError) {
    try optimizer.record(
      Trial(
        number: record.number, point: record.point,
        origin: Origin(rawValue: record.origin) ?? .search, value: record.value,
        variance: record.variance))
    trials.append(record)
  }

  /// The chosen trial.
  struct Best {
    let record: TrialRecord
    let by: String
    let interval: ClosedRange<Double>?
  }

  /// Chooses among the complete trials, as the option `best_by` says.
  /// - Throws: `.allTrialsFailed` when there is none.
  func bestTrial() throws(DFMergeError) -> Best {
    guard trials.contains(where: \.isComplete) else {
      let reason = trials.compactMap(\.failure).first.map { " The first reason: \($0)" } ?? ""
      throw DFMergeError(
        .allTrialsFailed,
        "None of the \(trials.count) trials has a score; check the evaluation callback.\(reason)")
    }
    let choice = try optimizer.best(by: options.bestByPosteriorMean ? .posteriorMean : .observed)
    guard let record = trials.first(where: { $0.number == choice.number }) else {
      throw DFMergeError(.internalError, "The optimiser named a best trial that is not known.")
    }
    let half = 1.96 * choice.sd
    return Best(
      record: record, by: options.bestByPosteriorMean ? "posterior_mean" : "observed",
      interval: Search.interval(choice.mean - half, choice.mean + half))
  }

  /// The interval from `low` to `high`; nil where an end is beyond the range of a double.
  private static func interval(_ low: Double, _ high: Double) -> ClosedRange<Double>? {
    low.isFinite && high.isFinite && low <= high ? low...high : nil
  }

  /// What is known so far, for a run that was stopped.
  /// - Throws: `.allTrialsFailed` when no trial has a score.
  public func currentResult() throws(DFMergeError) -> SearchResult {
    SearchResult(self, best: try bestTrial())
  }

  /// Posterior mean and deviation of the score along each dimension through the best point; empty
  /// with fewer complete trials than a model of the scores needs, and where the scores are so large
  /// that the model leaves the range of a double.
  func slices(names: [String], best: Best) -> [JSONValue] {
    let points = 33
    guard let slices = try? optimizer.slices(at: best.record.point, count: points),
      slices.allSatisfy({ $0.mean.allSatisfy(\.isFinite) && $0.sd.allSatisfy(\.isFinite) })
    else { return [] }
    return zip(names, slices).enumerated().map { index, pair in
      let (name, slice) = pair
      let range = index < space.bounds.count ? space.bounds[index] : 0...1
      return .object([
        "name": .string(name),
        "at": .array(
          slice.at.map {
            .double(range.lowerBound + $0 * (range.upperBound - range.lowerBound))
          }),
        "mean": .array(slice.mean.map(JSONValue.double)),
        "sd": .array(slice.sd.map(JSONValue.double)),
      ])
    }
  }

  /// How far one must move along each dimension for the score to change, as a share of its
  /// interval.
  func lengthScales(names: [String]) -> JSONValue {
    guard let scales = try? optimizer.lengthScales() else { return .object([:]) }
    return .object(
      Dictionary(zip(names, scales.map(JSONValue.double))) { first, _ in first })
  }
}
