import DFMergeBO
import DFMergeCore
import DFMergeKernels
import DFMergeMethods

extension Search {
  /// Where a greedy soup stands after the trials so far; nil for Bayesian optimisation.
  var soup: GreedySoup? {
    guard options.strategy == .greedySoup else { return nil }
    return GreedySoup(
      modelCount: models.count,
      grades: trials.map { trial in
        trial.value.map {
          GreedySoup.Grade(value: $0, violation: options.objective.violation(trial.scores))
        }
      })
  }

  /// How many trials the search makes at most.
  var trialLimit: Int { soup.map { min(options.trials, $0.total) } ?? options.trials }

  /// What to try next. The optimiser keeps the books of a soup too, but has no say in it.
  func nextSuggestion() throws(DFMergeError) -> Suggestion {
    if let point = soup?.next { try optimizer.enqueue([point], repeats: true) }
    return try optimizer.ask()
  }
}

/// The average of some of the models; the others are not read.
///
/// Weights are divided by their sum; equal ones are exactly 1/k for k models, as in the method
/// "average" of these alone, of which a merge gives the same bytes.
struct SoupAverage: MergeMethod {
  static let info = MethodInfo(
    id: "soup_average", title: "Average of some models", formula: "sum(w_m theta_m) / sum(w_m)",
    summary: "A candidate of a greedy soup.", source: "arXiv 2203.05482", needsBase: false,
    needsFisher: false, options: [])

  private let members: [Int]
  private let weights: [Double]

  init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    try self.init(weights: [Double](repeating: 1, count: modelCount))
  }

  /// - Throws: `.invalidArgument` for a weight below 0, and where none is above.
  init(weights given: [Double]) throws(DFMergeError) {
    let members = given.indices.filter { given[$0] != 0 }
    let sum = given.reduce(0, +)
    guard let first = members.first, given.allSatisfy({ $0 >= 0 }), sum.isFinite else {
      throw DFMergeError(
        .invalidArgument,
        "The weights \(given) make no soup; give every model a weight of 0 or more, and one of them "
          + "more than 0.")
    }
    self.members = members
    let isUniform = members.allSatisfy { given[$0] == given[first] }
    weights = members.map { isUniform ? 1 / Double(members.count) : given[$0] / sum }
  }

  func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard members.count > 1 else {
      return Kernels.convert(into: tile.out, tile.models[members[0]], count: tile.count)
    }
    return Kernels.linearCombination(
      into: tile.out, members.map { tile.models[$0] }, weights: weights, count: tile.count)
  }
}
