/// Statistics of several instances that the same reads of the inputs find.
///
/// One for most methods. Thresholds whose shares depend on the tensor are found together: where the
/// scope is the tensor, each tensor asks for its own only; over the whole model, the first bits are
/// counted for all at once, and further ones for ``mostTogether`` at a time.
package struct JointStatistics: Sendable {
  /// Of one kind; one or more.
  package private(set) var statistics: [ModelStatistic]

  /// The statistics over a model whose last bits are counted in one read, where no operand is F64;
  /// one where some is, whose counters are large.
  package static let mostTogether = 8

  package init(_ statistic: ModelStatistic) { statistics = [statistic] }

  /// The first, which is like the others but for shares and ranks.
  package var first: ModelStatistic { statistics[0] }

  /// Whether each tensor's is found in that tensor alone.
  package var isByTensor: Bool {
    switch first {
    case .fisherSumOfSquares: false
    case .taskVectorThreshold(_, let scope, _): scope == .tensor
    case .taskVectorRanks(let request), .ranks(let request): request.scope == .tensor
    case .sums(let request): request.scope == .tensor
    }
  }

  /// Takes `statistic` in, if it can be found in the same reads.
  package mutating func join(_ statistic: ModelStatistic) -> Bool {
    if statistics.contains(statistic) { return true }
    switch (first, statistic) {
    case (.sums(let request), .sums(let other)):
      guard request.ofWholeUnits == other.ofWholeUnits else { return false }
      // The one that takes most memory stands for all.
      if request.count < other.count { statistics = [statistic] }
      return true
    case (
      .taskVectorThreshold(_, let scope, let kept),
      .taskVectorThreshold(_, let otherScope, let other)
    ) where scope == otherScope && kept.isExact == other.isExact:
      break
    case (.taskVectorRanks(let request), .taskVectorRanks(let other))
    where request.name == other.name && request.count == other.count
      && request.scope == other.scope:
      break
    default: return false
    }
    statistics.append(statistic)
    return true
  }

  /// How often base and models are read for all, at most.
  /// - Parameter doubles: whether some operand is F64.
  package func weightPasses(doubles: Bool) -> Int {
    let passes = statistics.map { $0.weightPasses(doubles: doubles) }
    let most = passes.reduce(0, max)
    guard !isByTensor, statistics.count > 1, most > 0 else { return most }
    let asking = passes.count { $0 > 0 }
    let together = doubles ? 1 : JointStatistics.mostTogether
    return 1 + (most - 1) * ((asking + together - 1) / together)
  }

  /// How often the Fisher values are read.
  package var fisherPasses: Int { first.fisherPasses }
}
