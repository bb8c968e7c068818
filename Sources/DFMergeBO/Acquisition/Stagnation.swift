// When the search has settled in one basin, and what it does then.
//
// Expected improvement goes on polishing a basin whose last digits still move, while a better one
// may lie elsewhere. A trial counts as progress where it raises the best score by more than
// `tolerance` of what the search has gained over the start. After `patience` + d trials without
// progress every second suggestion asks for more: log EI over the best mean plus `margin` of the
// scores' spread, which a polished basin cannot promise and an unexplored region can.
//
// A pure function of the trials told, so that a resumed run continues alike.
struct Stagnation {
  static let patience = 4
  static let tolerance = 0.01
  static let margin = 0.2

  /// Trials of the search since the last progress.
  let idle: Int
  private let dimension: Int
  private let spread: Double

  init(_ history: [Trial], dimension: Int) {
    self.dimension = dimension
    let scored = history.compactMap { trial in
      trial.value.map { (score: $0, isSearch: trial.origin == .search) }
    }
    let start = scored.filter { !$0.isSearch }.map(\.score)
    let reference = (start.count >= 3 ? start : scored.map(\.score)).sorted()
    let median = reference.isEmpty ? 0 : reference[reference.count / 2]
    var idle = 0
    var best = -Double.infinity
    for (score, isSearch) in scored {
      let isProgress = !(score <= best + Stagnation.tolerance * (best - median))
      if isSearch { idle = isProgress ? 0 : idle + 1 }
      best = max(best, score)
    }
    self.idle = idle
    spread = Standardisation(scored.map(\.score), clipped: true).scale
  }

  /// The acquisition of the next suggestion: `usual`, or the wider one on every second trial.
  func acquisition(_ usual: OptimizerOptions.Acquisition) -> OptimizerOptions.Acquisition {
    let late = idle - Stagnation.patience - dimension
    guard late >= 0, late % 2 == 0 else { return usual }
    return .logExpectedImprovement(xi: Stagnation.margin * spread)
  }
}
