import DFMergeBO
import DFMergeCore

/// Bayesian optimisation of scores over named parameters, by asking for trials and telling what
/// came of them, with a journal, several workers and a final choice.
///
/// Definition:   the ``Optimizer`` over the unit cube, with parameters scaled to it: u is the value
///               low + u (high - low). Larger scores are better.
/// Workers:      as many trials as one likes are out at a time; results come in any order. With
///               `lease_seconds`, a trial whose worker is silent that long is withdrawn at the next
///               ask; should its result still come, it is taken.
/// Journal:      every ask, result, withdrawal, queued point and observation is written before the
///               call returns, results durably. A study made with the same options and the journal
///               of an earlier one goes on bit for bit where that stopped, trials that are out
///               included.
/// Determinism:  suggestions are a pure function of options and calls, but for leases, which run
///               out by the wall clock.
/// Threads:      used by one thread at a time.
/// Cost:         as the ``Optimizer``'s; per result one write and one `fsync` of the journal.
public final class Study {
  public let options: StudyOptions
  /// Every trial, at the index of its number.
  public internal(set) var trials: [StudyTrial] = []
  /// What happened that the user should know, in sentences.
  public internal(set) var warnings: [String] = []

  let optimizer: Optimizer
  var journal: Journal?
  /// Why the journal lacks the last event: nothing may follow then.
  var journalFailure: DFMergeError?
  /// Values of points that were given in parameter units, which scaling there and back might round.
  var givenValues: [[Double]: [Double]] = [:]
  /// The improvement that was left after so many results.
  var keptImprovement: (told: Int, value: Double)?
  /// Results that the rule on the improvement has judged, and how many in a row had little left.
  var judged = (told: 0, low: 0)
  let started = SearchClock.now()
  /// Seconds since 1970, for leases; replaced by tests.
  var wallClock: () -> Double = SearchClock.sinceEpoch

  /// - Parameters:
  ///   - options: see ``StudyOptions/schema``; `parameters` is needed.
  ///   - path: where every step is recorded; an existing journal of the same study is continued,
  ///     also with another number of `trials`, `target`, `max_seconds`, `best_by` or
  ///     `lease_seconds`.
  /// - Throws: `.unknownName`, `.invalidOption`; `.ioFailure`, `.fileLocked`, `.journalDamaged`;
  ///   `.journalMismatch` where another option differs.
  public init(options: JSONValue, journal path: String? = nil) throws(DFMergeError) {
    self.options = try StudyOptions(options)
    optimizer = try self.options.makeOptimizer()
    if let path { try openJournal(path) }
  }

  /// `count` trials to evaluate side by side, each chosen with those before it, and all others that
  /// are out, taken as evaluated.
  ///
  /// Trials whose lease has run out are withdrawn first.
  /// - Throws: `.invalidArgument` for a count outside 1 ... 10,000; `.ioFailure` where the journal
  ///   cannot be written; as ``Optimizer/ask()``.
  public func ask(_ count: Int = 1) throws(DFMergeError) -> [StudyTrial] {
    guard (1...Optimizer.maximumBatch).contains(count) else {
      throw DFMergeError(
        .invalidArgument,
        "\(count) trials were asked for; ask for 1 to \(Optimizer.maximumBatch).")
    }
    try checkJournal()
    try withdrawExpired()
    let first = trials.count
    for _ in 0..<count {
      try commit(.ask(try optimizer.ask()))
    }
    return Array(trials[first...])
  }

  /// The trials that are out: asked for, neither told nor withdrawn.
  public var running: [StudyTrial] {
    optimizer.pending.compactMap {
      trials.indices.contains($0.number) ? trials[$0.number] : nil
    }
  }

  private func withdrawExpired() throws(DFMergeError) {
    guard options.leaseSeconds > 0 else { return }
    let now = wallClock()
    for trial in running {
      guard let asked = trial.asked, now - asked >= options.leaseSeconds else { continue }
      try commit(
        .withdrawal(
          number: trial.number,
          reason: "Not told within \(options.leaseSeconds) seconds (lease_seconds)."))
    }
  }

  // MARK: - Events

  /// Applies an event and writes it down.
  func commit(_ event: StudyEvent) throws(DFMergeError) {
    try checkJournal()
    try apply(event)
    try write(event)
  }

  /// Applies an event, live or replayed. Nothing changes when it throws.
  /// - Parameter subset: for a replayed ask, the first stage that was told later and found worth
  ///   more.
  func apply(_ event: StudyEvent, subset: Scores? = nil) throws(DFMergeError) {
    switch event {
    case .ask(let suggestion):
      guard suggestion.number == trials.count else { throw Study.outOfOrder(suggestion.number) }
      optimizer.reopen(suggestion, subset: subset)
      trials.append(
        StudyTrial(
          number: suggestion.number, origin: suggestion.origin,
          values: givenValues[suggestion.point] ?? options.space.values(at: suggestion.point),
          point: suggestion.point))
    case .scores(let number, let scores):
      try settle(number, scores: scores)
    case .subset(let number, let scores, let isWorthMore):
      // Live, the optimiser has settled it already.
      if !isWorthMore, optimizer.pending.contains(where: { $0.number == number }) {
        let trial = trials[number]
        try optimizer.record(
          Trial(
            number: number, point: trial.point, origin: trial.origin, scores: nil, subset: scores))
      }
      trials[number].subset = scores
      if !isWorthMore { trials[number].state = .subset }
    case .failure(let number, let reason):
      try settle(number, scores: nil)
      trials[number].reason = reason
    case .withdrawal(let number, let reason):
      try optimizer.withdraw(number)
      trials[number].state = .withdrawn
      trials[number].reason = reason
    case .queue(let points, let repeats):
      let scaled = points.map(options.space.point)
      try optimizer.enqueue(scaled, repeats: repeats)
      for (point, values) in zip(scaled, points) { givenValues[point] = values }
    case .observation(let number, let values, let scores):
      guard number == trials.count else { throw Study.outOfOrder(number) }
      let point = options.space.point(of: values)
      try optimizer.record(
        Trial(number: number, point: point, origin: .observation, scores: scores))
      trials.append(
        StudyTrial(number: number, origin: .observation, values: values, point: point))
      keep(scores, of: number)
    }
  }

  private func settle(_ number: Int, scores: Scores?) throws(DFMergeError) {
    let trial = trials[number]
    try optimizer.record(
      Trial(
        number: number, point: trial.point, origin: trial.origin, scores: scores,
        subset: scores == nil ? nil : trial.subset))
    trials[number].reason = nil
    keep(scores, of: number)
  }

  private func keep(_ scores: Scores?, of number: Int) {
    let told = scores.flatMap { options.objective.value($0.values, variances: $0.variances) }
    trials[number].state = told == nil ? .failed : .complete
    trials[number].scores = told == nil ? nil : scores
    trials[number].value = told?.value
    trials[number].variance = told?.variance
    if scores != nil, told == nil {
      trials[number].reason = "The aggregate of its scores does not exist or is not finite."
    }
  }

  private static func outOfOrder(_ number: Int) -> DFMergeError {
    DFMergeError(.internalError, "Trial \(number) does not follow the last one.")
  }
}
