import DFMergeBO
import DFMergeCore

extension Study {
  /// Records the scores of a trial, or that it failed, where a score or their aggregate is not
  /// finite.
  ///
  /// A trial that was withdrawn is welcome too. The result is on disk when this returns.
  /// - Parameters:
  ///   - number: the trial's.
  ///   - scores: one per task; variances, where known, as p (1 - p) / n for an accuracy p on n
  ///     fresh examples; nil or NaN where not.
  /// - Throws: `.invalidArgument` for a number that was not asked for, another number of scores or
  ///   variances, a variance that is negative or infinite, or with `fresh_examples` a score outside
  ///   [0, 1] without a variance; `.invalidState` where the trial is told already; `.ioFailure`
  ///   where the journal cannot be written.
  public func tell(_ number: Int, scores: Scores) throws(DFMergeError) {
    try checkOpen(number)
    let scores = try checked(scores, of: "trial \(number)")
    if let bad = scores.values.firstIndex(where: { !$0.isFinite }) {
      let task = options.objective.tasks[bad]
      try commit(
        .failure(number: number, reason: "The score '\(task)' is \(scores.values[bad])."))
    } else {
      try commit(.scores(number: number, scores))
    }
    try writeTold(number)
  }

  /// Records the score of a trial of a study with a single task.
  /// - Throws: as ``tell(_:scores:)``.
  public func tell(_ number: Int, value: Double, variance: Double? = nil) throws(DFMergeError) {
    try tell(number, scores: Scores([value], variances: [variance]))
  }

  /// Records the scores of a trial's first stage, on a fixed subset of the evaluation, and decides
  /// whether the rest is worth its cost; see ``Optimizer/tellSubset(_:scores:)``. Needs the option
  /// `subset_share`.
  /// - Returns: true: evaluate the rest and tell the full scores. False: the trial is settled, or
  ///   has failed where a score is not finite.
  /// - Throws: as ``tell(_:scores:)``; `.invalidState` also without `subset_share`, where the first
  ///   stage is told already, or where the trial is withdrawn.
  public func tellSubset(_ number: Int, scores: Scores) throws(DFMergeError) -> Bool {
    try checkOpen(number)
    guard trials[number].state == .running else {
      throw DFMergeError(
        .invalidState,
        "Trial \(number) is withdrawn; tell its full scores, or ask for another trial.")
    }
    let scores = try checked(scores, of: "the first stage of trial \(number)")
    guard options.settings.subsetShare != nil else {
      throw DFMergeError(
        .invalidState,
        "The first stage of trial \(number) was told, but evaluations have one stage; set the "
          + "option 'subset_share'.", context: ["option": "subset_share"])
    }
    guard scores.values.allSatisfy(\.isFinite) else {
      try tell(number, scores: scores)
      return false
    }
    let isWorthMore = try optimizer.tellSubset(number, scores: scores)
    try commit(.subset(number: number, scores, isWorthMore: isWorthMore))
    if !isWorthMore { try writeTold(number) }
    return isWorthMore
  }

  /// Records the score of a first stage of a study with a single task.
  /// - Throws: as ``tellSubset(_:scores:)``.
  public func tellSubset(_ number: Int, value: Double) throws(DFMergeError) -> Bool {
    try tellSubset(number, scores: Scores([value]))
  }

  /// Records that the evaluation of a trial failed. It counts as the lowest score told, and is
  /// never the best.
  /// - Parameters:
  ///   - number: the trial's.
  ///   - reason: for the record; nil for none.
  /// - Throws: `.invalidArgument`, `.invalidState`, `.ioFailure` as ``tell(_:scores:)``.
  public func tellFailed(_ number: Int, reason: String? = nil) throws(DFMergeError) {
    try checkOpen(number)
    try commit(.failure(number: number, reason: reason))
    try writeTold(number)
  }

  /// Takes back a trial that is out: its worker died. Its point may be suggested again, under
  /// another number, and is the next one where the caller had queued it.
  /// - Throws: `.invalidArgument` for a number that was not asked for, `.invalidState` where it is
  ///   not out; `.ioFailure`.
  public func withdraw(_ number: Int) throws(DFMergeError) {
    try checkOpen(number)
    guard trials[number].state == .running else {
      throw DFMergeError(.invalidState, "Trial \(number) is withdrawn already.")
    }
    try commit(.withdrawal(number: number, reason: "Withdrawn by the caller."))
  }

  /// Points to hand out before anything else, in this order, in parameter units. They count towards
  /// the option `initial`.
  /// - Parameters:
  ///   - points: one value per parameter each.
  ///   - repeats: also where they are told or out already; else such points are skipped.
  /// - Throws: `.invalidArgument` for a point with another number of values, or one out of bounds.
  public func enqueue(_ points: [[Double]], repeats: Bool = false) throws(DFMergeError) {
    for (index, point) in points.enumerated() {
      if let problem = options.space.problem(of: point) {
        throw DFMergeError(.invalidArgument, "Queued point \(index) \(problem).")
      }
    }
    guard !points.isEmpty else { return }
    try commit(.queue(points.map { $0.map { $0 + 0 } }, repeats: repeats))
  }

  /// Adds what is known of a point from elsewhere, in parameter units. It counts as a trial and may
  /// be the best one; repeats of a point are welcome.
  /// - Returns: the number it was recorded under.
  /// - Throws: `.invalidArgument` for values out of bounds or scores and variances as in
  ///   ``tell(_:scores:)``; `.nonFinite` for a score that is not finite; `.ioFailure`.
  @discardableResult
  public func observe(_ values: [Double], scores: Scores) throws(DFMergeError) -> Int {
    if let problem = options.space.problem(of: values) {
      throw DFMergeError(.invalidArgument, "The observed point \(problem).")
    }
    let scores = try checked(scores, of: "the observed point")
    for (task, score) in zip(options.objective.tasks, scores.values) where !score.isFinite {
      throw DFMergeError(
        .nonFinite, "The score '\(task)' of the observed point is \(score); leave out what failed.")
    }
    let number = trials.count
    try commit(.observation(number: number, values: values.map { $0 + 0 }, scores))
    return number
  }

  // MARK: - Checks

  private func checkOpen(_ number: Int) throws(DFMergeError) {
    try checkJournal()
    guard trials.indices.contains(number) else {
      throw DFMergeError(
        .invalidArgument,
        "There is no trial \(number); \(trials.count) have been asked for, numbered from 0.")
    }
    if trials[number].isTold {
      throw DFMergeError(
        .invalidState, "Trial \(number) is told already; tell each number once.")
    }
  }

  /// Scores with unknown variances as nil, all of them unknown as none.
  private func checked(_ scores: Scores, of what: String) throws(DFMergeError) -> Scores {
    let tasks = options.objective.tasks
    guard scores.values.count == tasks.count,
      scores.variances.isEmpty || scores.variances.count == tasks.count
    else {
      throw DFMergeError(
        .invalidArgument,
        "\(scores.values.count) scores and \(scores.variances.count) variances were given for "
          + "\(what); there are \(tasks.count) tasks (\(tasks.joined(separator: ", "))).")
    }
    let variances = scores.variances.map { $0.flatMap { $0.isNaN ? nil : $0 + 0 } }
    for (task, variance) in zip(tasks, variances) {
      guard let variance, !(variance >= 0 && variance.isFinite) else { continue }
      throw DFMergeError(
        .invalidArgument,
        "The variance of '\(task)' for \(what) is \(variance); give a finite one of 0 or more, or "
          + "none where it is not known.")
    }
    // A journal reads -0 back as 0, and a resumed study is to see the same number.
    let checked = Scores(
      scores.values.map { $0 + 0 }, variances: variances.contains { $0 != nil } ? variances : [])
    try optimizer.options.checkExamples(checked, tasks: tasks, of: what)
    return checked
  }
}
