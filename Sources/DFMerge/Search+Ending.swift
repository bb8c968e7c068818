import DFMergeBO
import DFMergeCore

extension Search {
  /// Why a run ended.
  public enum Ending: String, Sendable {
    /// The option `trials` is used up.
    case trials
    /// The run took `max_seconds`.
    case time
    /// A trial within its floors reached `target`.
    case target
    /// The expected improvement stayed below `stop_improvement` before two trials in a row.
    case improvement
    /// A greedy soup has tried every model.
    case complete
  }

  /// What the stopping rule has seen. Each trial is judged once, however often a run is stopped
  /// and taken up again before its result is known.
  struct StoppingRule {
    /// The trial that was judged last.
    var number = -1
    /// The largest expected improvement before it; nil where it was not asked.
    var left: Double?
    /// How many trials in a row, up to that one, had less to gain than the option asks.
    var low = 0

    mutating func see(_ left: Double?, before number: Int, limit: Double) {
      guard number != self.number else { return }
      self.number = number
      self.left = left
      low = left.map { $0 < limit } == true ? low + 1 : 0
    }
  }

  /// What the trials so far have cost, in units of whole evaluations: the option `subset_share` for
  /// one that ended after the subset, 1 for every other, failed ones included.
  public var cost: Double {
    let settled = trials.filter { $0.state == .subset }.count
    return Double(trials.count - settled) + Double(settled) * (options.subsetShare ?? 1)
  }

  /// Why the run is over; nil when another trial is to be made.
  /// - Parameter seconds: how long the run has taken.
  func reasonToEnd(after seconds: Double) throws(DFMergeError) -> Ending? {
    if let target = options.target,
      trials.contains(where: { trial in
        trial.value.map { $0 >= target } == true
          && options.objective.violation(trial.scores) == 0
      })
    {
      return .target
    }
    if let soup, soup.next == nil { return .complete }
    if cost >= Double(options.trials) { return .trials }
    // The first trial always runs: without one there is nothing to leave in the target.
    if let limit = options.maxSeconds, !trials.isEmpty, seconds >= limit { return .time }
    return try hasLittleToGain() ? .improvement : nil
  }

  /// Applies the stopping rule to the trial that would come next.
  private func hasLittleToGain() throws(DFMergeError) -> Bool {
    guard options.stopImprovement > 0 else { return false }
    let number = trials.count
    if stopping.number != number {
      let start = SearchClock.now()
      defer { clock.trial.optimizer += SearchClock.now() - start }
      // The start of a search is not a choice of the model, and its trials say nothing about it.
      var left: Double?
      if isPastTheStart {
        let found = try optimizer.improvementLeft()
        left = found.isFinite ? found : nil
      }
      stopping.see(left, before: number, limit: options.stopImprovement)
    }
    return stopping.low >= 2
  }

  /// Whether the next point is chosen by the model of the scores.
  private var isPastTheStart: Bool {
    let told = optimizer.history.map(\.point)
    return told.count >= optimizer.options.initial
      && optimizer.history.contains { $0.value != nil }
      && beginning.queue.allSatisfy { queued in trials.contains { $0.point == queued } }
  }
}
