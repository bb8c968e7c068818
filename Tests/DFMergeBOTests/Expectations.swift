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

/// Solves A x = b by Gauss-Jordan elimination with pivoting: independent of the code under test.
func solve(_ a: [[Double]], _ b: [Double]) -> [Double] {
  let n = b.count
  var m = a
  var x = b
  for column in 0..<n {
    let pivot = (column..<n).max { abs(m[$0][column]) < abs(m[$1][column]) } ?? column
    m.swapAt(column, pivot)
    x.swapAt(column, pivot)
    for row in 0..<n where row != column {
      let factor = m[row][column] / m[column][column]
      for k in column..<n { m[row][k] -= factor * m[column][k] }
      x[row] -= factor * x[column]
    }
  }
  return (0..<n).map { x[$0] / m[$0][$0] }
}
