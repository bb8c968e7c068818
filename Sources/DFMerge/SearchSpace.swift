import DFMergeCore

/// The map between the optimiser's unit cube and what a candidate means.
///
/// Coordinates:  u_k in [0,1] for k < M G is coefficient low_m + u_k (high_m - low_m) of model
/// m = k / G in group k mod G; where the exponent is searched, the last coordinate is the exponent
/// itself.
struct SearchSpace {
  /// Names of the models.
  let models: [String]
  /// Names of the groups; one where all tensors share their coefficients.
  let groups: [String]
  /// One interval per coefficient, those of a model's groups being equal.
  let bounds: [ClosedRange<Double>]
  /// The fixed exponent; nil when it is the last coordinate.
  let exponent: Double?

  /// - Parameter bounds: one per model.
  init(
    models: [String], groups: [String], bounds: [ClosedRange<Double>], exponent: Double?
  ) {
    self.models = models
    self.groups = groups
    self.bounds = bounds.flatMap { range in groups.map { _ in range } }
    self.exponent = exponent
  }

  var dimension: Int { bounds.count + (exponent == nil ? 1 : 0) }

  /// Beyond this many dimensions a search of a few hundred evaluations has little to go by.
  static let sensibleDimensions = 60

  /// One name per coordinate: the model's, with its group where there are several, or "exponent".
  var coordinates: [(name: String, model: String?, group: String?)] {
    var found: [(name: String, model: String?, group: String?)] = []
    for model in models {
      for group in groups {
        found.append(
          groups.count == 1 ? (model, model, nil) : ("\(model) · \(group)", model, group))
      }
    }
    if exponent == nil { found.append(("exponent", nil, nil)) }
    return found
  }

  func candidate(at point: [Double]) -> Candidate {
    let coefficients = zip(bounds, point).map { range, u in
      // Clamped: rounding may carry the sum past the end of the interval by one unit.
      min(
        max(range.lowerBound + u * (range.upperBound - range.lowerBound), range.lowerBound),
        range.upperBound)
    }
    return Candidate(coefficients: coefficients, exponent: exponent ?? point[bounds.count])
  }

  /// The point of a candidate; nil where a bound or a fixed exponent excludes it.
  func point(of candidate: Candidate) -> [Double]? {
    guard candidate.coefficients.count == bounds.count, (0...1).contains(candidate.exponent),
      exponent == nil || exponent == candidate.exponent
    else { return nil }
    var point: [Double] = []
    for (range, coefficient) in zip(bounds, candidate.coefficients) {
      guard range.contains(coefficient) else { return nil }
      let share = (coefficient - range.lowerBound) / (range.upperBound - range.lowerBound)
      point.append(min(max(share, 0), 1))
    }
    if exponent == nil { point.append(candidate.exponent) }
    return point
  }

  // MARK: Points with a name

  /// A candidate that the field knows.
  struct Baseline {
    let name: String
    let candidate: Candidate
  }

  /// Average: each model's task vector with the same coefficient 1/M.
  static let average = "average"

  private func equal(_ coefficient: Double, _ exponent: Double) -> Candidate {
    Candidate(coefficients: bounds.map { _ in coefficient }, exponent: exponent)
  }

  /// Merges without a search: what a result's margin is taken over, where they were evaluated.
  func baselines() -> [Baseline] {
    let mean = 1 / Double(max(models.count, 1))
    var found = [Baseline(name: SearchSpace.average, candidate: equal(mean, 0))]
    for coefficient in [0.3, 0.5, 0.15] where coefficient != mean {
      found.append(
        Baseline(name: "task arithmetic \(coefficient)", candidate: equal(coefficient, 0)))
    }
    found.append(Baseline(name: "Fisher-weighted average", candidate: equal(mean, 1)))
    return found + singles()
  }

  /// Each model alone: its coefficient 1, the others 0, exponent 0, which is the model itself.
  func singles() -> [Baseline] {
    models.indices.map { model in
      let own = bounds.indices.map { $0 / groups.count == model ? 1.0 : 0.0 }
      return Baseline(
        name: "\(models[model]) alone", candidate: Candidate(coefficients: own, exponent: 0))
    }
  }

  /// Points that are known to be good for merging, best bets first.
  ///
  /// Equal coefficients: 1/M is averaging (with exponent 1, Fisher merging's formula), 0.3 the
  /// field's usual task arithmetic, 0.5 and 0.15 its neighbours on both sides.
  func informedPoints() -> [[Double]] {
    let mean = 1 / Double(max(models.count, 1))
    let bets: [(coefficient: Double, exponent: Double)] =
      exponent == nil
      ? [(mean, 0), (0.3, 0), (0.5, 0), (0.3, 0.5), (0.5, 0.5), (mean, 1)]
      : [(mean, 0), (0.3, 0), (0.5, 0), (0.15, 0)]
    var points: [[Double]] = []
    for bet in bets {
      // A fixed exponent is every candidate's.
      if let point = point(of: equal(bet.coefficient, exponent ?? bet.exponent)),
        !points.contains(point)
      {
        points.append(point)
      }
    }
    return points
  }
}
