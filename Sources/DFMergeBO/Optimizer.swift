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
/// Repeats:      no point is suggested that is told or pending already, unless it was queued as a
///               repeat.
/// Cost:         about 10 ms per ask at 60 trials in 6 dimensions with the default preset, O(n³);
///               nothing to speak of per tell. Memory O(n² + 1000 d).
/// Threads:      used by one thread at a time.
/// Source:       Frazier 2018, "A tutorial on Bayesian optimization", Algorithm 1; the parts are
/// cited in
///               their own files.
public final class Optimizer {
  /// d.
  public let dimension: Int
  public let objective: Objective
  public let options: OptimizerOptions
  /// The trials told, in order of their numbers.
  public internal(set) var history: [Trial] = []
  /// The suggestions asked and not yet told, in order of their numbers.
  public internal(set) var pending: [Suggestion] = []

  var queue: [QueuedPoint] = []
  var nextNumber = 0
  /// First stages told of pending suggestions, by number.
  var pendingSubsets: [Int: Scores] = [:]
  /// Fits to the full evaluations, and the model of the trials told.
  var cachedFits: [Surrogate]?
  var cachedModel: ObjectiveModel?

  /// Largest dimension: beyond it a Gaussian process over so few trials says nothing.
  public static let maximumDimension = 1000

  /// Most suggestions of one ``ask(_:)``.
  public static let maximumBatch = 10_000

  /// Largest trial number that may be recorded: numbers above it leave no room to count on.
  public static let maximumNumber = 1 << 40

  /// - Throws: `.invalidArgument` for a dimension outside 1 ... 1000; `.invalidOption` for options
  ///   out of range (negative `initial`, informed points outside the cube, xi, kappa or samples
  ///   out of range, a seed above 2³² - 1 where numpy's generator is used).
  public init(
    dimension: Int, objective: Objective = .single, options: OptimizerOptions = .default
  ) throws(DFMergeError) {
    guard (1...Optimizer.maximumDimension).contains(dimension) else {
      throw DFMergeError(
        .invalidArgument,
        "The optimiser's dimension is \(dimension); it takes 1 to \(Optimizer.maximumDimension).")
    }
    try options.check(dimension: dimension)
    self.dimension = dimension
    self.objective = objective
    self.options = options
  }

  /// The next point to evaluate; it stays pending until its number is told.
  ///
  /// - Throws: `.notPositiveDefinite` where the model cannot be conditioned at all, which finite
  ///   scores do not cause.
  public func ask() throws(DFMergeError) -> Suggestion {
    let (point, origin) = try nextPoint()
    let suggestion = Suggestion(number: nextNumber, point: point, origin: origin)
    reopen(suggestion)
    return suggestion
  }

  /// `count` points to evaluate side by side, each chosen with those before it pending.
  ///
  /// - Throws: `.invalidArgument` for a count outside 1 ... 10,000; as ``ask()``.
  public func ask(_ count: Int) throws(DFMergeError) -> [Suggestion] {
    guard (1...Optimizer.maximumBatch).contains(count) else {
      throw DFMergeError(
        .invalidArgument,
        "\(count) suggestions were asked for; ask for 1 to \(Optimizer.maximumBatch).")
    }
    var suggestions: [Suggestion] = []
    for _ in 0..<count { suggestions.append(try ask()) }
    return suggestions
  }

  // MARK: - The next point

  private func nextPoint() throws(DFMergeError) -> ([Double], Origin) {
    dropKnownFromQueue()
    let known = history.map(\.point) + pending.map(\.point)
    if let queued = queue.first { return (queued.point, .informed) }
    let needsDesign =
      known.count < options.initial || !history.contains { $0.value != nil }
    if needsDesign {
      if known.count < options.initial,
        let point = options.informed.first(where: { !known.contains($0) })
      {
        return (point, .informed)
      }
      let design = InitialDesign(options: options, dimension: dimension)
      return (design.firstPoint(notIn: known), .initial)
    }
    let model = try model(believing: pending)
    let function = try AcquisitionFunction(
      options.acquisition, model: model, highest: highestFeasible,
      random: CounterRandom(
        seed: options.seed, purpose: "acquisition.draws", index: UInt64(nextNumber)))
    let search = AcquisitionSearch(
      function: function, surrogate: model, known: known, seed: options.seed, number: nextNumber)
    return (search.maximise(options.search), .search)
  }
}
