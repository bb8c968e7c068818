import DFMergeCore

/// A point that waits to be asked.
struct QueuedPoint: Equatable {
  let point: [Double]
  /// Whether it is evaluated although it is told or pending already.
  let repeats: Bool
}

extension Optimizer {
  /// Records the scores of a pending suggestion.
  ///
  /// Scores that are finite but have no objective (a negative one under a geometric mean) count as
  /// a failed evaluation.
  /// - Parameter scores: one per task, finite; variances, where known, as p (1 - p) / n for an
  ///   accuracy p on n fresh examples. Unknown ones let the model learn the noise.
  /// - Throws: `.invalidState` where `number` is not pending; `.invalidArgument` for another number
  ///   of scores or variances, a negative variance, or a score outside [0, 1] without a variance
  ///   where ``OptimizerOptions/freshExamples`` is set; `.nonFinite` for a score or variance that is
  ///   not finite. Nothing changes then.
  public func tell(_ number: Int, scores: Scores) throws(DFMergeError) {
    let suggestion = try pendingSuggestion(number)
    try record(
      Trial(
        number: number, point: suggestion.point, origin: suggestion.origin, scores: scores,
        subset: pendingSubsets[number]))
  }

  /// Records the score of a pending suggestion of an objective with a single task.
  ///
  /// - Parameters:
  ///   - value: the score, finite; higher is better.
  ///   - variance: the score's noise variance in squared score units where the host knows it.
  /// - Throws: as ``tell(_:scores:)``.
  public func tell(_ number: Int, value: Double, variance: Double? = nil) throws(DFMergeError) {
    try tell(number, scores: Scores([value], variances: [variance]))
  }

  /// Records that the evaluation of a pending suggestion failed.
  ///
  /// - Throws: `.invalidState` where `number` is not pending.
  public func tellFailed(_ number: Int) throws(DFMergeError) {
    let suggestion = try pendingSuggestion(number)
    try record(
      Trial(number: number, point: suggestion.point, origin: suggestion.origin, scores: nil))
  }

  /// Adds a trial with its own number and point: how a run is resumed.
  ///
  /// A pending suggestion of that number is settled by it, whatever the point that was evaluated.
  /// The next suggestion's number is one above the highest known.
  /// - Throws: `.invalidState` where the number is told already; `.invalidArgument` for a number
  ///   out of range, a wrong dimension, a coordinate outside [0, 1] or what ``tell(_:scores:)``
  ///   refuses. Nothing changes then.
  public func record(_ trial: Trial) throws(DFMergeError) {
    try check(trial)
    var trial = trial
    let told = trial.scores.flatMap {
      objective.value($0.values, variances: options.variances(of: $0))
    }
    trial.value = told?.value
    trial.variance = told?.variance
    let slot = history.firstIndex { $0.number > trial.number } ?? history.endIndex
    history.insert(trial, at: slot)
    pending.removeAll { $0.number == trial.number }
    nextNumber = max(nextNumber, trial.number + 1)
    pendingSubsets[trial.number] = nil
    if !trial.endedAfterSubset { cachedFits = nil }
    cachedModel = nil
  }

  /// Adds what is known of a point from elsewhere: another run, a baseline. Counts as a trial,
  /// towards ``OptimizerOptions/initial`` too, and may be the best one. Repeats of a point are
  /// welcome.
  ///
  /// - Returns: the number it was recorded under.
  /// - Throws: as ``record(_:)``.
  @discardableResult
  public func observe(_ point: [Double], scores: Scores) throws(DFMergeError) -> Int {
    let number = nextNumber
    try record(Trial(number: number, point: point, origin: .observation, scores: scores))
    return number
  }

  /// Takes a pending suggestion back: its worker died. Its number is used up; its point may be
  /// suggested again, and is the next one if the caller had queued it.
  ///
  /// - Throws: `.invalidState` where `number` is not pending.
  public func withdraw(_ number: Int) throws(DFMergeError) {
    let suggestion = try pendingSuggestion(number)
    pending.removeAll { $0.number == number }
    pendingSubsets[number] = nil
    if suggestion.origin == .informed, !options.informed.contains(suggestion.point) {
      queue.insert(QueuedPoint(point: suggestion.point, repeats: true), at: 0)
    }
  }

  /// Makes a suggestion of an earlier life pending again: how a run with several workers resumes.
  /// One that is pending or told already is left as it is.
  ///
  /// - Parameter subset: the scores of its first stage, where ``tellSubset(_:scores:)`` found the
  ///   full evaluation worth its cost; scores of another number than the objective's tasks or not
  ///   finite are not taken.
  public func reopen(_ suggestion: Suggestion, subset: Scores? = nil) {
    let isKnown =
      pending.contains { $0.number == suggestion.number }
      || history.contains { $0.number == suggestion.number }
    guard !isKnown, (0...Optimizer.maximumNumber * 2).contains(suggestion.number) else { return }
    // As the ask that made it did: a withdrawal later must not bring back what was skipped then.
    dropKnownFromQueue()
    let slot = pending.firstIndex { $0.number > suggestion.number } ?? pending.endIndex
    pending.insert(suggestion, at: slot)
    if let subset, (try? check(subset, of: suggestion.number)) != nil {
      pendingSubsets[suggestion.number] = subset
    }
    nextNumber = max(nextNumber, suggestion.number + 1)
    if let queued = queue.firstIndex(where: { $0.point == suggestion.point }) {
      queue.remove(at: queued)
    }
  }

  /// Takes queued points that are told or pending off the queue, unless they are repeats.
  func dropKnownFromQueue() {
    guard !queue.isEmpty else { return }
    let known = history.map(\.point) + pending.map(\.point)
    queue.removeAll { !$0.repeats && known.contains($0.point) }
  }

  /// Points to evaluate before anything else, in this order. They count towards
  /// ``OptimizerOptions/initial``.
  ///
  /// - Parameter repeats: evaluate them even where they are told or pending already; else such
  ///   points are skipped, so a resumed run may queue the same list again.
  /// - Throws: `.invalidArgument` for a wrong dimension or a coordinate outside [0, 1].
  public func enqueue(_ points: [[Double]], repeats: Bool = false) throws(DFMergeError) {
    for (index, point) in points.enumerated() {
      if let problem = Optimizer.problem(of: point, dimension: dimension) {
        throw DFMergeError(.invalidArgument, "Queued point \(index) \(problem).")
      }
    }
    queue += points.map { QueuedPoint(point: $0, repeats: repeats) }
  }

  // MARK: - Checks

  func pendingSuggestion(_ number: Int) throws(DFMergeError) -> Suggestion {
    if let suggestion = pending.first(where: { $0.number == number }) { return suggestion }
    let told = history.contains { $0.number == number }
    throw DFMergeError(
      .invalidState,
      "Trial \(number) is \(told ? "told already" : "not pending"); tell each asked number once.")
  }

  private func check(_ trial: Trial) throws(DFMergeError) {
    guard (0...Optimizer.maximumNumber).contains(trial.number) else {
      throw DFMergeError(
        .invalidArgument,
        "A trial's number is \(trial.number); it takes 0 to \(Optimizer.maximumNumber).")
    }
    if history.contains(where: { $0.number == trial.number }) {
      throw DFMergeError(
        .invalidState, "Trial \(trial.number) is told already; tell each number once.")
    }
    if let problem = Optimizer.problem(of: trial.point, dimension: dimension) {
      throw DFMergeError(.invalidArgument, "The point of trial \(trial.number) \(problem).")
    }
    for scores in [trial.subset, trial.scores].compactMap({ $0 }) {
      try check(scores, of: trial.number)
    }
  }

  func check(_ scores: Scores, of number: Int) throws(DFMergeError) {
    guard scores.values.count == objective.taskCount,
      scores.variances.isEmpty || scores.variances.count == objective.taskCount
    else {
      throw DFMergeError(
        .invalidArgument,
        "Trial \(number) was told \(scores.values.count) scores and \(scores.variances.count) "
          + "variances; the objective has \(objective.taskCount) tasks "
          + "(\(objective.tasks.joined(separator: ", "))).")
    }
    for (task, value) in zip(objective.tasks, scores.values) where !value.isFinite {
      throw DFMergeError(
        .nonFinite,
        "The score '\(task)' of trial \(number) is \(value); call tellFailed for a trial without "
          + "a score.")
    }
    for (task, variance) in zip(objective.tasks, scores.variances) {
      guard let variance else { continue }
      guard variance.isFinite else {
        throw DFMergeError(
          .nonFinite,
          "The variance of '\(task)' in trial \(number) is \(variance); pass nil where it is not "
            + "known.")
      }
      guard variance >= 0 else {
        throw DFMergeError(
          .invalidArgument,
          "The variance of '\(task)' in trial \(number) is \(variance), below zero.")
      }
    }
    try options.checkExamples(scores, tasks: objective.tasks, of: "trial \(number)")
  }

  /// What is wrong with a point, or nil.
  static func problem(of point: [Double], dimension: Int) -> String? {
    if point.count != dimension {
      return "has \(point.count) coordinates; the optimiser has \(dimension) dimensions"
    }
    guard let bad = point.firstIndex(where: { !(0...1).contains($0) }) else { return nil }
    return "has coordinate \(bad) = \(point[bad]); every coordinate must lie in [0, 1]"
  }
}
