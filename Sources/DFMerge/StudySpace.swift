/// The named parameters of a ``Study`` and their bounds.
///
/// Coordinates: u in [0, 1] is the value low + u (high - low).
struct StudySpace: Sendable, Equatable {
  let names: [String]
  let bounds: [ClosedRange<Double>]

  var dimension: Int { names.count }

  /// The values of a point of the unit cube, one per parameter.
  func values(at point: [Double]) -> [Double] {
    zip(bounds, point).map { range, u in
      // Clamped: rounding may carry the sum past the end of the interval by one unit.
      min(
        max(range.lowerBound + u * (range.upperBound - range.lowerBound), range.lowerBound),
        range.upperBound)
    }
  }

  /// The point of the unit cube of values that lie within the bounds.
  func point(of values: [Double]) -> [Double] {
    zip(bounds, values).map { range, value in
      min(max((value - range.lowerBound) / (range.upperBound - range.lowerBound), 0), 1)
    }
  }

  /// What is wrong with values, or nil.
  func problem(of values: [Double]) -> String? {
    guard values.count == names.count else {
      return "has \(values.count) values; there are \(names.count) parameters "
        + "(\(names.joined(separator: ", ")))"
    }
    for ((name, range), value) in zip(zip(names, bounds), values) where !range.contains(value) {
      return "has \(name) = \(value), outside [\(range.lowerBound), \(range.upperBound)]"
    }
    return nil
  }

  /// Points where merging coefficients are known to do well, as far as the bounds include them: all
  /// equal to 1/d, 0.3, 0.5 and 0.15.
  func informedPoints() -> [[Double]] {
    var points: [[Double]] = []
    for value in [1 / Double(max(dimension, 1)), 0.3, 0.5, 0.15] {
      let values = [Double](repeating: value, count: dimension)
      guard problem(of: values) == nil else { continue }
      let point = point(of: values)
      if !points.contains(point) { points.append(point) }
    }
    return points
  }
}
