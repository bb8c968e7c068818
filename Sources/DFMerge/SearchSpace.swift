import DFMergeCore

/// The map between the optimiser's unit cube and what a candidate means.
///
/// Coordinates:  u_k in [0,1] for k < P G is coefficient low_p + u_k (high_p - low_p) of parameter
/// p = k / G in group k mod G; where the exponent is searched, the last coordinate is the exponent
/// itself. DF-Merge's parameters are the models; those of another method are its options.
/// Greedy soup:  u_k is 1 for a model of the soup and 0 for another, the coefficients are the weights
/// of their average: 1 / sum(u) and 0.
struct SearchSpace {
  /// Names of the parameters: the models, or another method's options.
  let parameters: [String]
  /// Names of the groups; one where all tensors share their coefficients.
  let groups: [String]
  /// One interval per coefficient, those of a parameter's groups being equal.
  let bounds: [ClosedRange<Double>]
  /// The fixed exponent; nil when it is the last coordinate.
  let exponent: Double?
  /// The other method's values without a search, and what to call them; nil for DF-Merge.
  private let usual: (name: String, values: [Double]?)?
  /// Whether points say which models are averaged.
  let isSoup: Bool

  /// DF-Merge's space.
  /// - Parameter bounds: one per model.
  init(
    models: [String], groups: [String], bounds: [ClosedRange<Double>], exponent: Double?
  ) {
    parameters = models
    self.groups = groups
    self.bounds = bounds.flatMap { range in groups.map { _ in range } }
    self.exponent = exponent
    usual = nil
    isSoup = false
  }

  /// That of a greedy soup.
  init(soupOf models: [String]) {
    parameters = models
    groups = ["all"]
    bounds = models.map { _ in 0...1 }
    exponent = 0
    usual = nil
    isSoup = true
  }

  /// Another method's.
  init(_ method: SearchedMethod, groups: [String]) {
    parameters = method.parameters.map(\.name)
    self.groups = groups
    bounds = method.parameters.flatMap { parameter in groups.map { _ in parameter.range } }
    exponent = 0
    usual = ("\(method.title) as it is", method.usual)
    isSoup = false
  }

  var dimension: Int { bounds.count + (exponent == nil ? 1 : 0) }

  /// Beyond this many dimensions a search of a few hundred evaluations has little to go by.
  static let sensibleDimensions = 60

  /// One name per coordinate: the parameter's, with its group where there are several, or
  /// "exponent".
  var coordinates: [(name: String, parameter: String?, group: String?)] {
    var found: [(name: String, parameter: String?, group: String?)] = []
    for name in parameters {
      for group in groups {
        found.append(groups.count == 1 ? (name, name, nil) : ("\(name) · \(group)", name, group))
      }
    }
    if exponent == nil { found.append(("exponent", nil, nil)) }
    return found
  }

  func candidate(at point: [Double]) -> Candidate {
    if isSoup {
      let count = Double(point.count { $0 > 0 })
      return Candidate(coefficients: point.map { $0 > 0 ? 1 / count : 0 }, exponent: 0)
    }
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
    if isSoup { return candidate.coefficients.map { $0 > 0 ? 1 : 0 } }
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

  /// The other method with its own defaults; nil where the space leaves these out.
  private var usualCandidate: Candidate? {
    usual?.values.map { values in
      Candidate(coefficients: values.flatMap { value in groups.map { _ in value } }, exponent: 0)
    }
  }

  /// Merges without a search: what a result's margin is taken over, where they were evaluated.
  func baselines() -> [Baseline] {
    if let usual { return usualCandidate.map { [Baseline(name: usual.name, candidate: $0)] } ?? [] }
    let mean = 1 / Double(max(parameters.count, 1))
    var found = [Baseline(name: SearchSpace.average, candidate: equal(mean, 0))]
    if isSoup { return found + singles() }
    for coefficient in [0.3, 0.5, 0.15] where coefficient != mean {
      found.append(
        Baseline(name: "task arithmetic \(coefficient)", candidate: equal(coefficient, 0)))
    }
    found.append(Baseline(name: "Fisher-weighted average", candidate: equal(mean, 1)))
    return found + singles()
  }

  /// Each model alone: its coefficient 1, the others 0, exponent 0, which is the model itself.
  func singles() -> [Baseline] {
    guard usual == nil else { return [] }
    return parameters.indices.map { model in
      let own = bounds.indices.map { $0 / groups.count == model ? 1.0 : 0.0 }
      return Baseline(
        name: "\(parameters[model]) alone", candidate: Candidate(coefficients: own, exponent: 0))
    }
  }

  /// Points that are known to be good for merging, best bets first.
  ///
  /// Equal coefficients: 1/M is averaging (with exponent 1, Fisher merging's formula), 0.3 the
  /// field's usual task arithmetic, 0.5 and 0.15 its neighbours on both sides. Of another method,
  /// its defaults.
  func informedPoints() -> [[Double]] {
    if usual != nil { return [usualCandidate.flatMap { point(of: $0) }].compactMap { $0 } }
    let mean = 1 / Double(max(parameters.count, 1))
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
