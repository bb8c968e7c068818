import DFMergeCore

/// Bayesian optimisation of a score over the unit cube by asking for points and telling their
/// scores.
///
/// Definition:   ask returns a point of [0, 1]^d; tell records its score, which is maximised. After
///               ``OptimizerOptions/initial`` trials each point maximises the acquisition function
///               of a Gaussian process fitted to all trials told.
/// Determinism:  the next point is a pure function of (options, the trials told, the suggestions
///               pending, the queue). Every random draw is keyed by (seed, purpose, trial number),
///               and trials are read in order of their numbers, so results may arrive in any order
///               and a run is resumed by ``record(_:)``ing its trials: the next ask is equal bit
///               for bit.
/// Workers:      each ask makes a new suggestion; those not yet told are *pending* and count as
///               evaluated with their posterior mean as score, so that the next goes elsewhere.
/// Failures:     a failed trial counts as the lowest score observed and is never the best one.
/// Repeats:      no point is suggested that is told or pending already.
/// Cost:         about 10 ms per ask at 60 trials in 6 dimensions with the default preset, O(n³);
///               nothing to speak of per tell. Memory O(n² + 1000 d).
/// Threads:      used by one thread at a time.
/// Source:       Frazier 2018, "A tutorial on Bayesian optimization", Algorithm 1; the parts are
/// cited in
///               their own files.
public final class Optimizer {
  /// d.
  public let dimension: Int
  public let options: OptimizerOptions
  /// The trials told, in order of their numbers.
  public private(set) var history: [Trial] = []
  /// The suggestions asked and not yet told, in order of their numbers.
  public private(set) var pending: [Suggestion] = []

  private var queue: [[Double]] = []
  private var nextNumber = 0
  private var cachedSurrogate: Surrogate?

  /// Largest dimension: beyond it a Gaussian process over so few trials says nothing.
  public static let maximumDimension = 1000

  /// Largest trial number that may be recorded: numbers above it leave no room to count on.
  public static let maximumNumber = 1 << 40

  /// - Throws: `.invalidArgument` for a dimension outside 1 ... 1000; `.invalidOption` for options
  ///   out of range (negative `initial`, informed points outside the cube, xi, kappa or samples
  ///   out of range, a seed above 2³² - 1 where numpy's generator is used).
  public init(dimension: Int, options: OptimizerOptions = .default) throws(DFMergeError) {
    guard (1...Optimizer.maximumDimension).contains(dimension) else {
      throw DFMergeError(
        .invalidArgument,
        "The optimiser's dimension is \(dimension); it takes 1 to \(Optimizer.maximumDimension).")
    }
    try options.check(dimension: dimension)
    self.dimension = dimension
    self.options = options
  }

  /// The next point to evaluate; it stays pending until its number is told.
  ///
  /// - Throws: `.notPositiveDefinite` where the model cannot be conditioned at all, which finite
  ///   scores do not cause.
  public func ask() throws(DFMergeError) -> Suggestion {
    let (point, origin) = try nextPoint()
    let suggestion = Suggestion(number: nextNumber, point: point, origin: origin)
    pending.append(suggestion)
    nextNumber += 1
    return suggestion
  }

  /// Records the score of a pending suggestion.
  ///
  /// - Parameters:
  ///   - value: the score, finite; higher is better.
  ///   - variance: the score's noise variance in squared score units where the host knows it, for
  ///     example p (1 - p) / n for an accuracy p on n examples; nil lets the model learn the noise.
  /// - Throws: `.invalidState` where `number` is not pending; `.nonFinite` for a score or variance
  ///   that is not finite, `.invalidArgument` for a negative variance. Nothing changes then.
  public func tell(_ number: Int, value: Double, variance: Double? = nil) throws(DFMergeError) {
    let suggestion = try pendingSuggestion(number)
    try record(
      Trial(
        number: number, point: suggestion.point, origin: suggestion.origin, value: value,
        variance: variance))
  }

  /// Records that the evaluation of a pending suggestion failed.
  ///
  /// - Throws: `.invalidState` where `number` is not pending.
  public func tellFailed(_ number: Int) throws(DFMergeError) {
    let suggestion = try pendingSuggestion(number)
    try record(
      Trial(number: number, point: suggestion.point, origin: suggestion.origin, value: nil))
  }

  /// Adds a trial with its own number and point: how a run is resumed, or another's trials are
  /// used.
  ///
  /// A pending suggestion of that number is settled by it, whatever the point that was evaluated.
  /// The next suggestion's number is one above the highest known.
  /// - Throws: `.invalidState` where the number is told already; `.invalidArgument` for a number
  ///   out of range, a wrong dimension, a coordinate outside [0, 1] or a negative variance;
  ///   `.nonFinite` for a score or variance that is not finite. Nothing changes then.
  public func record(_ trial: Trial) throws(DFMergeError) {
    try check(trial)
    let slot = history.firstIndex { $0.number > trial.number } ?? history.endIndex
    history.insert(trial, at: slot)
    pending.removeAll { $0.number == trial.number }
    nextNumber = max(nextNumber, trial.number + 1)
    cachedSurrogate = nil
  }

  /// Points to evaluate before anything else, in this order.
  ///
  /// A queued point that is told or pending already is skipped, so a resumed run may queue the
  /// same list again. They count towards ``OptimizerOptions/initial``.
  /// - Throws: `.invalidArgument` for a wrong dimension or a coordinate outside [0, 1].
  public func enqueue(_ points: [[Double]]) throws(DFMergeError) {
    for (index, point) in points.enumerated() {
      if let problem = Optimizer.problem(of: point, dimension: dimension) {
        throw DFMergeError(.invalidArgument, "Queued point \(index) \(problem).")
      }
    }
    queue += points
  }

  // MARK: - The next point

  private func nextPoint() throws(DFMergeError) -> ([Double], Origin) {
    let known = history.map(\.point) + pending.map(\.point)
    if let point = queue.first(where: { !known.contains($0) }) { return (point, .informed) }
    let needsDesign =
      known.count < options.initial || !history.contains { !$0.isFailed }
    if needsDesign {
      if known.count < options.initial,
        let point = options.informed.first(where: { !known.contains($0) })
      {
        return (point, .informed)
      }
      let design = InitialDesign(options: options, dimension: dimension)
      return (design.firstPoint(notIn: known), .initial)
    }
    if options.leavesPlateaus {
      let scores = history.compactMap(\.value)
      if let point = Plateau.point(scores: scores, known: known, dimension: dimension) {
        return (point, .initial)
      }
    }
    var acquisition = options.acquisition
    if options.widensWhenStalled {
      acquisition = Stagnation(history, dimension: dimension).acquisition(acquisition)
    }
    let fitted = try surrogate().believing(pending.map(\.point))
    let highest = history.compactMap(\.value).max() ?? 0
    let function = try AcquisitionFunction(
      acquisition, surrogate: fitted, highest: highest,
      random: CounterRandom(
        seed: options.seed, purpose: "acquisition.draws", index: UInt64(nextNumber)))
    let search = AcquisitionSearch(
      function: function, surrogate: fitted, known: known, seed: options.seed, number: nextNumber)
    return (search.maximise(options.search), .search)
  }

  /// The model of the trials told; at least one must have a score.
  func surrogate() throws(DFMergeError) -> Surrogate {
    if let cachedSurrogate { return cachedSurrogate }
    guard let lowest = history.compactMap(\.value).min() else {
      throw DFMergeError(
        history.isEmpty ? .invalidState : .allTrialsFailed,
        history.isEmpty
          ? "No trial has been told yet; tell at least one score first."
          : "All \(history.count) trials failed; there is no score to model.")
    }
    let observations = Observations(
      dimension: dimension, points: history.flatMap(\.point),
      values: history.map { $0.value ?? lowest }, variances: history.map(\.variance))
    let fitted: Surrogate
    switch options.model {
    case .isotropic:
      fitted = try IsotropicModel.fit(
        observations, seed: UInt32(truncatingIfNeeded: options.seed),
        fitNumber: history.count - options.initial)
    case .hierarchical:
      fitted = try HierarchicalModel(observations).fit(
        random: CounterRandom(
          seed: options.seed, purpose: "model.starts", index: UInt64(history.count)))
    }
    cachedSurrogate = fitted
    return fitted
  }

  // MARK: - Checks

  private func pendingSuggestion(_ number: Int) throws(DFMergeError) -> Suggestion {
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
    if let value = trial.value, !value.isFinite {
      throw DFMergeError(
        .nonFinite,
        "The score of trial \(trial.number) is \(value); call tellFailed for a trial without a "
          + "score."
      )
    }
    guard let variance = trial.variance else { return }
    guard variance.isFinite else {
      throw DFMergeError(
        .nonFinite,
        "The variance of trial \(trial.number) is \(variance); pass nil where it is not known.")
    }
    guard variance >= 0 else {
      throw DFMergeError(
        .invalidArgument, "The variance of trial \(trial.number) is \(variance), below zero.")
    }
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
