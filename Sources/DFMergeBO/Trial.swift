/// Where a suggested point comes from.
public enum Origin: String, Sendable, Hashable {
  /// The space-filling start, or the diagonal where the start was flat.
  case initial
  /// A point that the caller named: ``OptimizerOptions/informed`` or
  /// ``Optimizer/enqueue(_:repeats:)``.
  case informed
  /// The maximum of the acquisition function.
  case search
  /// Evaluated elsewhere and told as knowledge: ``Optimizer/observe(_:scores:)``.
  case observation
}

/// A point to evaluate.
public struct Suggestion: Sendable, Equatable {
  /// The trial's number, counted from 0 in order of asking.
  public let number: Int
  /// Coordinates in [0, 1], one per dimension.
  public let point: [Double]
  public let origin: Origin

  public init(number: Int, point: [Double], origin: Origin) {
    self.number = number
    self.point = point
    self.origin = origin
  }
}

/// One score per task, with what is known of their noise.
public struct Scores: Sendable, Equatable {
  /// In the tasks' order; larger is better.
  public let values: [Double]
  /// Noise variance of each score in squared score units, nil where it is not known. Empty for
  /// none known.
  public let variances: [Double?]

  public init(_ values: [Double], variances: [Double?] = []) {
    self.values = values
    self.variances = variances
  }

  /// The variance of task `index`; nil where it is not known.
  func variance(_ index: Int) -> Double? {
    variances.indices.contains(index) ? variances[index] : nil
  }
}

/// An evaluated point: everything that the optimiser's next suggestion depends on.
public struct Trial: Sendable, Equatable {
  public let number: Int
  public let point: [Double]
  public let origin: Origin
  /// The scores of the whole evaluation; nil where it failed or ended after its first stage.
  public let scores: Scores?
  /// The scores of the first stage, on a fixed subset of the evaluation; nil without one.
  public let subset: Scores?
  /// The objective of `scores`; filled in when the trial is recorded, nil without `scores` or
  /// where the aggregate does not exist.
  public internal(set) var value: Double?
  /// The noise variance of `value` in squared score units that the model uses: by the formulas of
  /// ``Objective`` from the variances told, with ``OptimizerOptions/freshExamples`` from the
  /// binomial ones where none was told. nil where the model learns it, above the floor that
  /// ``OptimizerOptions/examples`` sets. `scores` keeps what was told.
  public internal(set) var variance: Double?

  public init(
    number: Int, point: [Double], origin: Origin, scores: Scores?, subset: Scores? = nil
  ) {
    self.number = number
    self.point = point
    self.origin = origin
    self.scores = scores
    self.subset = subset
    value = nil
    variance = nil
  }

  /// A trial of a single task; a nil value is a failed one.
  public init(
    number: Int, point: [Double], origin: Origin, value: Double?, variance: Double? = nil
  ) {
    self.init(
      number: number, point: point, origin: origin,
      scores: value.map { Scores([$0], variances: [variance]) })
  }

  /// True where nothing was learnt: neither a value nor scores of a first stage.
  public var isFailed: Bool { value == nil && subset == nil }

  /// True for a trial that was ended after its first stage.
  public var endedAfterSubset: Bool { scores == nil && subset != nil }
}
