import DFMergeCore
import DFMergeKernels

/// Drop and rescale, then a vote on the signs.
package struct DARETIES: MergeMethod {
  package static let info = MethodInfo(
    id: "dare_ties",
    title: "DARE-TIES",
    formula:
      "v_m = w_m b_m tau_m / density_m;  b_m ~ Bernoulli(density_m);  s = sign(sum(v_m));  "
      + "theta = theta0 + lambda sum(v_m)    (sum over sign(v_m) = s)",
    summary:
      "DARE in place of TIES' trimming: elements are dropped at random, the rest scaled up, and "
      + "every parameter moves only with the models that agree on its direction. aggregate 'mean' "
      + "is mergekit's normalize.",
    source:
      "Yu et al. 2024 (arXiv 2311.03099) and Yadav et al. 2023 (arXiv 2306.01708); combined as in "
      + "mergekit's dare_ties: weighted sum, tied votes positive. Deviations: elements kept are "
      + "divided by the density, as in the paper, while mergekit's rescale is 'l1'; draws as in "
      + "method 'dare'.",
    needsBase: true, needsFisher: false, isPermutationInvariant: false,
    options: DropOptions.schema + [
      OptionSchema(
        "weights", .numberPerModel(0...1e6), default: .double(1),
        "Weight of each model, in the vote and in the sum."),
      OptionSchema(
        "lambda", .number(-1e6...1e6), default: .double(1), "Multiplies the merged task vector."),
    ] + ElectionOptions.schema(aggregate: "sum", zeroSign: "positive"))

  private let weights: [Double]
  private let drops: DropOptions
  private let options: ElectionOptions

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    weights = try options.numberPerModel("weights")
    drops = try DropOptions(options)
    self.options = try ElectionOptions(options)
  }

  package var statistics: [ModelStatistic] {
    drops.statistics
      + (options.needsBalance(models: weights.count) ? [options.statistic] : [])
  }

  package func sums(_ tile: InputTile, _ request: SumsRequest) -> [Double] {
    let mask = drops.mask(tile)
    if drops.rescale.isAsked(by: request) { return drops.rescale.sums(tile, mask: mask) }
    return options.balance(tile, terms: terms(tile.statistics), mask: mask)
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard let base = tile.base else { return StoreOutcome() }
    return Kernels.electedTaskVectors(
      into: tile.out, base: base, models: tile.models, terms: terms(tile.statistics),
      election: options.election(tile.statistics), mask: drops.mask(tile.inputs),
      count: tile.count)
  }

  private func terms(_ statistics: [ModelStatistic: [Double]]) -> [TaskVectorTerm] {
    zip(weights, drops.scales(statistics)).map { TaskVectorTerm(factor: $0 * $1, weight: $0) }
  }
}
