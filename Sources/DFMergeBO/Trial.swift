/// Where a suggested point comes from.
public enum Origin: String, Sendable, Hashable {
  /// The space-filling start, or the diagonal where the start was flat.
  case initial
  /// A point that the caller named: ``OptimizerOptions/informed`` or ``Optimizer/enqueue(_:)``.
  case informed
  /// The maximum of the acquisition function.
  case search
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

/// An evaluated point: everything that the optimiser's next suggestion depends on.
public struct Trial: Sendable, Equatable {
  public let number: Int
  public let point: [Double]
  public let origin: Origin
  /// The score, to be maximised; nil where the evaluation failed.
  public let value: Double?
  /// The noise variance of `value` in squared score units, where the host knows it.
  public let variance: Double?

  public init(
    number: Int, point: [Double], origin: Origin, value: Double?, variance: Double? = nil
  ) {
    self.number = number
    self.point = point
    self.origin = origin
    self.value = value
    self.variance = variance
  }

  /// True where the evaluation failed.
  public var isFailed: Bool { value == nil }
}
