// What to evaluate where all scores so far are alike.
//
// A merge whose coefficients are too large scores at chance level wherever it lies, so a start of
// random points can be flat: differences of a few steps of the score, which a model would take for
// a slope and follow into the corners, where the coefficients are larger still. Smaller
// coefficients lead back from the foot of the cliff, so the diagonal is tried at a quarter, an
// eighth, a half and a sixteenth before the model is asked.
//
// Glossary:  step: the smallest difference between two scores told, 1/n for an accuracy on n
// examples
enum Plateau {
  /// Positions on the diagonal, in order.
  static let positions = [0.25, 0.125, 0.5, 0.0625]
  /// Scores are alike where they span fewer than seven steps.
  static let span = 6.5
  /// Differences below this share of the largest score are rounding.
  private static let rounding = 1e-9
  /// So many scores within six steps must repeat a value, which continuous scores do not: eight
  /// distinct ones span seven times their smallest difference at least.
  static let fewest = 8

  /// The next point of the diagonal that is not known; nil where the scores differ, or all were
  /// tried.
  static func point(scores: [Double], known: [[Double]], dimension: Int) -> [Double]? {
    guard scores.count >= fewest, isFlat(scores) else { return nil }
    return positions.lazy.map { [Double](repeating: $0, count: dimension) }
      .first { !known.contains($0) }
  }

  static func isFlat(_ scores: [Double]) -> Bool {
    let sorted = scores.sorted()
    guard let bottom = sorted.first, let top = sorted.last else { return false }
    let resolution = rounding * max(abs(bottom), abs(top))
    var step = Double.infinity
    for (lower, upper) in zip(sorted, sorted.dropFirst()) where upper - lower > resolution {
      step = min(step, upper - lower)
    }
    return step == .infinity || top - bottom <= span * step
  }
}
