import Testing

/// Expects |actual - expected| <= tolerance · max(|expected|, floor).
func expectClose(
  _ actual: Double, _ expected: Double, relative tolerance: Double, floor: Double = 0,
  _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
) {
  let bound = tolerance * max(abs(expected), floor)
  #expect(
    abs(actual - expected) <= bound, comment ?? "\(actual) is not \(expected) within \(bound)",
    sourceLocation: sourceLocation)
}

/// Central differences of a function of an array, for checking analytic gradients.
func centralDifferences(
  at x: [Double], step: Double = 1e-5, _ function: ([Double]) -> Double
) -> [Double] {
  x.indices.map { k in
    var upper = x
    var lower = x
    upper[k] += step
    lower[k] -= step
    return (function(upper) - function(lower)) / (2 * step)
  }
}
