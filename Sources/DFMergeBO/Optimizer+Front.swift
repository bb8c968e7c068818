extension Optimizer {
  /// The trials between which only a preference among the tasks can choose: those that no other
  /// trial dominates, by number, ascending.
  ///
  /// Definition:  a dominates b where a's score is at least b's in every task and above it in one.
  ///              Over the trials with full scores and a value, by the scores told; floors do not
  ///              matter.
  /// Edge cases:  trials with equal scores do not dominate each other, so all of them are listed;
  ///              with one task these are the trials of the highest score; empty before the first.
  /// Cost:        O(n² T).
  /// - Parameter includingObservations: whether what was ``observe(_:scores:)``d is among them.
  public func paretoFront(includingObservations: Bool = true) -> [Int] {
    let candidates = history.compactMap { trial -> (number: Int, values: [Double])? in
      guard trial.value != nil, let scores = trial.scores,
        includingObservations || trial.origin != .observation
      else { return nil }
      return (trial.number, scores.values)
    }
    return candidates.filter { candidate in
      !candidates.contains { Optimizer.dominates($0.values, candidate.values) }
    }.map(\.number)
  }

  private static func dominates(_ a: [Double], _ b: [Double]) -> Bool {
    var isAbove = false
    for (x, y) in zip(a, b) {
      if x < y { return false }
      if x > y { isAbove = true }
    }
    return isAbove
  }
}
