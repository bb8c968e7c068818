import DFMergeBO
import DFMergeCore

extension Search {
  /// The optimiser that the options ask for, with what is known before the first trial.
  static func makeOptimizer(
    _ options: SearchOptions, _ space: SearchSpace, _ beginning: SearchBeginning
  ) throws(DFMergeError) -> Optimizer {
    var informed = options.isInformed ? space.informedPoints() : []
    if options.hasSingles {
      for single in space.singles() {
        if let point = space.point(of: single.candidate), !informed.contains(point) {
          informed.append(point)
        }
      }
    }
    var settings = options.settings.optimizerOptions(informed: informed)
    if options.hasSingles { settings.initial = max(settings.initial, informed.count) }
    let optimizer = try Optimizer(
      dimension: space.dimension, objective: options.objective, options: settings)
    for known in beginning.observations {
      try optimizer.observe(known.point, scores: known.scores)
    }
    return optimizer
  }

  /// The optimiser's number of a trial: what was observed elsewhere has the first ones.
  private func number(of record: TrialRecord) -> Int {
    record.number + beginning.observations.count
  }

  /// Hands the caller's candidates to the optimiser, but for those that are evaluated already.
  func queueCandidates() throws(DFMergeError) {
    guard !isQueued else { return }
    let done = trials.map(\.point)
    // An observation does not stand for an evaluation that the caller asks for.
    try optimizer.enqueue(beginning.queue.filter { !done.contains($0) }, repeats: true)
    isQueued = true
  }

  /// Takes over a trial that a journal recorded.
  func take(_ record: TrialRecord) throws(DFMergeError) {
    try optimizer.record(
      Trial(
        number: number(of: record), point: record.point,
        origin: Origin(rawValue: record.origin) ?? .search,
        scores: record.isComplete
          ? TrialRecord.told(record.scores, variances: record.variances) : nil,
        // As `tellFailed` leaves it: a failed trial says nothing, its first stage neither.
        subset: record.state == .failed ? nil : record.subset))
    trials.append(record)
  }

  // MARK: The best trial

  /// The chosen trial.
  struct Best {
    let record: TrialRecord
    let by: String
    /// Posterior mean and deviation of the noise-free score there.
    let mean: Double
    let sd: Double
    let interval: ClosedRange<Double>?
    /// Whether its scores, observed or expected as the choice goes by, keep all floors.
    let isFeasible: Bool
  }

  /// Chooses among the complete trials, as the option `best_by` says; in a greedy soup, the soup.
  /// - Throws: `.allTrialsFailed` when there is none.
  func bestTrial() throws(DFMergeError) -> Best {
    guard trials.contains(where: \.isComplete) else {
      let reason = trials.compactMap(\.failure).first.map { " The first reason: \($0)" } ?? ""
      throw DFMergeError(
        .allTrialsFailed,
        "None of the \(trials.count) trials has a score; check the evaluation callback.\(reason)")
    }
    if let soup, let chosen = soup.chosen {
      let record = trials[chosen]
      return Best(
        record: record, by: "observed", mean: record.value ?? .nan, sd: 0, interval: nil,
        isFeasible: options.objective.violation(record.scores) == 0)
    }
    let choice = try optimizer.best(
      by: options.bestByPosteriorMean ? .posteriorMean : .observed, includingObservations: false)
    guard let record = trials.first(where: { number(of: $0) == choice.number }) else {
      throw DFMergeError(.internalError, "The optimiser named a best trial that is not known.")
    }
    return Best(
      record: record, by: options.bestByPosteriorMean ? "posterior_mean" : "observed",
      mean: choice.mean, sd: choice.sd,
      interval: Search.interval(choice.mean, choice.sd), isFeasible: choice.isFeasible)
  }

  /// The 95 % interval of a normal distribution; nil where an end is beyond the range of a double.
  static func interval(_ mean: Double, _ sd: Double) -> ClosedRange<Double>? {
    let half = 1.96 * sd
    let (low, high) = (mean - half, mean + half)
    return low.isFinite && high.isFinite && low <= high ? low...high : nil
  }

  /// What is known so far, for a run that was stopped.
  /// - Throws: `.allTrialsFailed` when no trial has a score.
  public func currentResult() throws(DFMergeError) -> SearchResult {
    SearchResult(self, best: try bestTrial())
  }
}
