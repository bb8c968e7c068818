import DFMergeCore

/// The map between the optimiser's unit cube and what a candidate means.
///
/// Coordinates:  u_m in [0,1] for m < M is coefficient low_m + u_m (high_m - low_m); where the
/// exponent is searched, the last coordinate is the exponent itself.
struct SearchSpace {
  let bounds: [ClosedRange<Double>]
  /// The fixed exponent; nil when it is the last coordinate.
  let exponent: Double?

  var dimension: Int { bounds.count + (exponent == nil ? 1 : 0) }

  func candidate(at point: [Double]) -> Candidate {
    let coefficients = zip(bounds, point).map { range, u in
      // Clamped: rounding may carry the sum past the end of the interval by one unit.
      min(
        max(range.lowerBound + u * (range.upperBound - range.lowerBound), range.lowerBound),
        range.upperBound)
    }
    return Candidate(coefficients: coefficients, exponent: exponent ?? point[bounds.count])
  }

  /// The point of a candidate with equal coefficients; nil where a bound excludes it.
  func point(coefficient: Double, exponent candidateExponent: Double) -> [Double]? {
    var point: [Double] = []
    for range in bounds {
      guard range.contains(coefficient) else { return nil }
      point.append((coefficient - range.lowerBound) / (range.upperBound - range.lowerBound))
    }
    if exponent == nil { point.append(candidateExponent) }
    return point
  }

  /// Points that are known to be good for merging, best bets first.
  ///
  /// Equal coefficients: 1/M is averaging (with exponent 1, Fisher merging's formula), 0.3 the
  /// field's usual task arithmetic, 0.5 and 0.15 its neighbours on both sides.
  func informedPoints() -> [[Double]] {
    let mean = 1 / Double(max(bounds.count, 1))
    let bets: [(coefficient: Double, exponent: Double)] = [
      (mean, 0), (0.3, 0), (0.5, 0), (0.3, 0.5), (0.5, 0.5), (mean, 1),
    ]
    let distinct = exponent == nil ? bets : [(mean, 0), (0.3, 0), (0.5, 0), (0.15, 0)]
    var points: [[Double]] = []
    for bet in distinct {
      if let point = point(coefficient: bet.coefficient, exponent: bet.exponent),
        !points.contains(point)
      {
        points.append(point)
      }
    }
    return points
  }
}

/// What is merged in one trial.
public struct Candidate: Sendable, Equatable {
  /// One per model, in the models' order.
  public let coefficients: [Double]
  /// Power of the Fisher weights.
  public let exponent: Double

  public init(coefficients: [Double], exponent: Double) {
    self.coefficients = coefficients
    self.exponent = exponent
  }
}
