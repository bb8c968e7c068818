import DFMergeBO
import DFMergeCore

extension Search {
  /// Runs the search to its number of trials and leaves the best candidate in the target.
  ///
  /// - Parameters:
  ///   - journal: where every step is recorded before the next one begins; a journal of the same
  ///     search is continued where it stopped, with the same trials as an uninterrupted run. Nil
  ///     records nothing.
  ///   - host: evaluates, measures, hears of progress; called on this thread.
  /// - Throws: `.journalMismatch` when the journal belongs to another search (another option,
  ///   model or checkpoint), `.journalDamaged`, `.fileLocked`, `.ioFailure`; `.allTrialsFailed`;
  ///   `.cancelled`; what the host throws. Trials that were finished stay in `trials` and in the
  ///   journal.
  /// - Returns: the best trial and all others.
  public func run(journal path: String?, host: any SearchHost) throws(DFMergeError) -> SearchResult
  {
    let start = SearchClock.now()
    clock = SearchClock()
    defer { journal = nil }
    if let path { try openJournal(path) }
    while trials.count < options.trials {
      try poll()
      try runTrial(host)
      let event = ProgressEvent(
        phase: .trial, done: trials.count, total: options.trials, best: bestValue)
      guard try timed({ () throws(DFMergeError) in try host.progress(event) }) else {
        throw Search.stopped
      }
    }
    let best = try bestTrial()
    clock.trial = TrialRecord.Seconds()
    try apply(best.record.candidate, host: host)
    clock.total = SearchClock.now() - start
    let result = SearchResult(self, best: best)
    try journal?.append(result.bestEvent, durably: true)
    try journal?.append(result.totalsEvent, durably: true)
    return result
  }

  private func runTrial(_ host: any SearchHost) throws(DFMergeError) {
    clock.trial = TrialRecord.Seconds()
    let asked = SearchClock.now()
    // What a stopped run left unanswered comes first: another point would get its number.
    let suggestion = if let open = optimizer.pending.first { open } else { try optimizer.ask() }
    clock.trial.optimizer += SearchClock.now() - asked
    let candidate = space.candidate(at: suggestion.point)
    let start = TrialRecord.startEvent(
      number: trials.count, origin: suggestion.origin.rawValue, point: suggestion.point,
      candidate: candidate)
    // After a resume the start of the interrupted trial stands in the journal already.
    if !isStarted(start) { try journal?.append(start, durably: false) }
    let outcome = try evaluate(candidate, host)
    var record = TrialRecord(
      number: trials.count, origin: suggestion.origin.rawValue, point: suggestion.point,
      candidate: candidate, outcome: outcome)
    record.seconds = clock.trial
    // The journal first: a trial that it could not take is not counted, and is run again.
    try journal?.append(record.resultEvent, durably: true)
    try finish(record)
    try journal?.append(record.timingEvent, durably: false)
  }

  /// Tells the optimiser and keeps the record.
  func finish(_ record: TrialRecord) throws(DFMergeError) {
    if let value = record.value {
      try optimizer.tell(record.number, value: value, variance: record.variance)
    } else {
      try optimizer.tellFailed(record.number)
    }
    trials.append(record)
  }

  /// Merges and scores. What goes wrong with the numbers is a failed trial; what goes wrong with
  /// the host ends the run.
  private func evaluate(
    _ candidate: Candidate, _ host: any SearchHost
  ) throws(DFMergeError) -> TrialRecord.Outcome {
    do throws(DFMergeError) {
      try apply(candidate, host: host)
    } catch  where error.code == .nonFinite {
      return .failed(error.message)
    }
    let request = TrialRequest(
      number: trials.count, coefficients: candidate.coefficients, exponent: candidate.exponent)
    let before = SearchClock.now()
    let evaluation = try timed { () throws(DFMergeError) in try host.evaluate(request) }
    clock.trial.evaluate += SearchClock.now() - before
    guard case .scores(let answered, let variances) = evaluation else {
      return .failed("The evaluation reported failure.")
    }
    // A journal reads -0 back as 0, and a resumed run is to see the same number.
    let scores = answered.map { $0 + 0 }
    guard scores.count == options.tasks.count else {
      throw DFMergeError(
        .invalidArgument,
        "The evaluation gave \(scores.count) scores for \(options.tasks.count) tasks "
          + "(\(options.tasks.joined(separator: ", "))); return one per task.")
    }
    guard let (value, variance) = options.objective.value(scores, variances: variances)
    else {
      return .failed(
        "A score, or the aggregate of the scores, is NaN or infinite, or a score is negative under "
          + "a geometric mean.")
    }
    return .complete(value: value, variance: variance, scores: scores, variances: variances)
  }

  /// Counts the time of a call into the host.
  private func timed<T>(_ body: () throws(DFMergeError) -> T) throws(DFMergeError) -> T {
    let start = SearchClock.now()
    defer { clock.callbacks += SearchClock.now() - start }
    return try body()
  }
}
