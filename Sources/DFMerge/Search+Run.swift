import DFMergeBO
import DFMergeCore

extension Search {
  /// Runs the search until its budget is used up or another reason to end is there, and leaves the
  /// best candidate in the target.
  ///
  /// - Parameters:
  ///   - path: where every step is recorded before the next one begins; a journal of the same
  ///     search is continued where it stopped, with the same trials as an uninterrupted run. Nil
  ///     records nothing.
  ///   - host: evaluates, measures, hears of progress; called on this thread.
  /// - Throws: `.journalMismatch` when the journal belongs to another search (another option,
  ///   model or checkpoint), `.journalDamaged`, `.fileLocked`, `.ioFailure`; `.allTrialsFailed`;
  ///   `.cancelled`; `.invalidState` during a run;
  ///   what the host throws. Trials that were finished stay in `trials` and in the
  ///   journal.
  /// - Returns: the best trial and all others.
  public func run(journal path: String?, host: any SearchHost) throws(DFMergeError) -> SearchResult
  {
    try run(journal: path, host: host, stopped: { false })
  }

  /// The same.
  /// - Parameter stopped: polled like the search's own `cancelled`, for this run only.
  func run(
    journal path: String?, host: any SearchHost, stopped: @escaping @Sendable () -> Bool
  ) throws(DFMergeError) -> SearchResult {
    guard !isRunning.exchange(true, ordering: .acquiring) else {
      throw DFMergeError(
        .invalidState,
        "The search is running already; await its result, or make another search for a run beside "
          + "it.")
    }
    defer { isRunning.store(false, ordering: .releasing) }
    self.stopped = stopped
    defer { self.stopped = { false } }
    let start = SearchClock.now()
    clock = SearchClock()
    ending = nil
    defer { journal = nil }
    if let path { try openJournal(path) }
    try queueCandidates()
    clock.trial = TrialRecord.Seconds()
    var reason = try reasonToEnd(after: 0)
    while reason == nil {
      try poll()
      try runTrial(host)
      let event = ProgressEvent(
        phase: .trial, done: min(Int(cost), trialLimit), total: trialLimit, best: bestValue)
      guard try timed({ () throws(DFMergeError) in try host.progress(event) }) else {
        throw Search.stopped
      }
      clock.trial = TrialRecord.Seconds()
      reason = try reasonToEnd(after: SearchClock.now() - start)
    }
    let best = try bestTrial()
    clock.trial = TrialRecord.Seconds()
    try apply(best.record.candidate, host: host)
    clock.total = SearchClock.now() - start
    ending = reason
    let result = SearchResult(self, best: best)
    try journal?.append(result.bestEvent, durably: true)
    try journal?.append(result.totalsEvent, durably: true)
    return result
  }

  private func runTrial(_ host: any SearchHost) throws(DFMergeError) {
    let asked = SearchClock.now()
    // What a stopped run left unanswered comes first: another point would get its number.
    let suggestion = if let openSuggestion { openSuggestion } else { try nextSuggestion() }
    openSuggestion = suggestion
    let origin = soup?.origin ?? suggestion.origin.rawValue
    clock.trial.optimizer += SearchClock.now() - asked
    let candidate = space.candidate(at: suggestion.point)
    let start = TrialRecord.startEvent(
      number: trials.count, origin: origin, point: suggestion.point,
      candidate: candidate, improvement: stopping.number == trials.count ? stopping.left : nil)
    // After a resume the start of the interrupted trial stands in the journal already.
    if !isStarted(start) { try journal?.append(start, durably: false) }
    let (outcome, subset) = try evaluate(candidate, suggestion.number, host)
    var record = TrialRecord(
      number: trials.count, origin: origin, point: suggestion.point,
      candidate: candidate, outcome: outcome, subset: subset)
    record.seconds = clock.trial
    // The journal first: a trial that it could not take is not counted, and is run again.
    try journal?.append(record.resultEvent, durably: true)
    try finish(record, suggestion.number)
    try journal?.append(record.timingEvent, durably: false)
  }

  /// Tells the optimiser and keeps the record.
  private func finish(_ record: TrialRecord, _ number: Int) throws(DFMergeError) {
    switch record.state {
    case .complete:
      try optimizer.tell(
        number, scores: TrialRecord.told(record.scores, variances: record.variances))
    case .failed: try optimizer.tellFailed(number)
    // Its scores were told when the whole evaluation was found not to be worth its cost.
    case .subset: break
    }
    openSubset = nil
    openSuggestion = nil
    trials.append(record)
  }

  /// Merges and scores. What goes wrong with the numbers is a failed trial, and so is a candidate that
  /// the method refuses; what goes wrong with the host ends the run.
  private func evaluate(
    _ candidate: Candidate, _ number: Int, _ host: any SearchHost
  ) throws(DFMergeError) -> (outcome: TrialRecord.Outcome, subset: Scores?) {
    if let refusal = try refusal(of: candidate) { return (.failed(refusal), nil) }
    do throws(DFMergeError) {
      try apply(candidate, host: host)
    } catch  where error.code == .nonFinite {
      return (.failed(error.message), nil)
    }
    let request = TrialRequest(
      number: trials.count, coefficients: candidate.coefficients, exponent: candidate.exponent)
    var subset: Scores?
    if options.subsetShare != nil {
      switch try firstStage(request, number, host) {
      case .failed(let reason): return (.failed(reason), nil)
      case .settled(let scores): return (.subset, scores)
      case .worthMore(let scores): subset = scores
      }
    }
    switch try scored(host.evaluate, request) {
    case .failure(let reason): return (.failed(reason), subset)
    case .success(let found):
      guard
        let (value, variance) = options.objective.value(found.values, variances: found.variances)
      else {
        return (
          .failed(
            "The aggregate of the scores is NaN or infinite, or a score is negative under a "
              + "geometric mean."), subset
        )
      }
      return (.complete(value: value, variance: variance, scores: found), subset)
    }
  }

  /// A callback's scores, or why there are none.
  enum Scored {
    case success(Scores)
    case failure(String)
  }

  /// Asks the host, and takes what can be a score.
  func scored(
    _ evaluation: (TrialRequest) throws(DFMergeError) -> Evaluation, _ request: TrialRequest
  ) throws(DFMergeError) -> Scored {
    let before = clock.callbacks
    let answer = try timed { () throws(DFMergeError) in try evaluation(request) }
    // One reading of the clock for both sums.
    clock.trial.evaluate += clock.callbacks - before
    guard case .scores(let answered, let variances) = answer else {
      return .failure("The evaluation reported failure.")
    }
    guard answered.count == options.tasks.count else {
      throw DFMergeError(
        .invalidArgument,
        "The evaluation gave \(answered.count) scores for \(options.tasks.count) tasks "
          + "(\(options.tasks.joined(separator: ", "))); return one per task.")
    }
    guard answered.allSatisfy(\.isFinite) else {
      return .failure("A score is NaN or infinite.")
    }
    try checkVariances(variances)
    // A journal reads -0 back as 0, and a resumed run is to see the same number.
    let scores = TrialRecord.told(answered.map { $0 + 0 }, variances: variances)
    // Before the journal has them: scores that are refused must not stand there.
    try optimizer.options.checkExamples(
      scores, tasks: options.tasks, of: "trial \(request.number)")
    return .success(scores)
  }

  /// NaN is a variance that is not known; anything else has to be one.
  private func checkVariances(_ variances: [Double]) throws(DFMergeError) {
    guard variances.isEmpty || variances.count == options.tasks.count else {
      throw DFMergeError(
        .invalidArgument,
        "The evaluation gave \(variances.count) variances for \(options.tasks.count) tasks "
          + "(\(options.tasks.joined(separator: ", "))); return one per task, or none.")
    }
    for (task, variance) in zip(options.tasks, variances) where variance < 0 || variance.isInfinite
    {
      throw DFMergeError(
        .invalidArgument,
        "The evaluation gave \(variance) as the variance of task '\(task)'; return a finite number "
          + "of 0 or more, or NaN where it is not known.", context: ["task": task])
    }
  }

  /// Counts the time of a call into the host.
  private func timed<T>(_ body: () throws(DFMergeError) -> T) throws(DFMergeError) -> T {
    let start = SearchClock.now()
    defer { clock.callbacks += SearchClock.now() - start }
    return try body()
  }
}
