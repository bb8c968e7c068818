import DFMergeCore
import DFMergeKernels

/// Drop small changes at random, rescale, vote on the signs.
package struct DELLA: MergeMethod {
  package static let info = MethodInfo(
    id: "della",
    title: "DELLA",
    formula:
      "v_m = w_m b_m tau_m / q_m;  b_m ~ Bernoulli(q_m);  q_m = density_m - epsilon_m + 2 epsilon_m "
      + "(r - 1) / (n - 1);  s = sign(sum(v_m));  theta = theta0 + lambda sum(v_m) / sum(w_m)    "
      + "(sums over sign(v_m) = s; r: rank of |tau_m| in its row of n, 1 the smallest)",
    summary:
      "DARE-TIES whose dropping respects size: within each row, large changes are kept more often than "
      + "small ones, and what is kept is divided by its own probability. epsilon 0 is DARE with "
      + "TIES' vote. Equal magnitudes rank in the order of their elements; rows of one element have the "
      + "probability density. A sort of every row makes it several times slower than 'dare_ties'.",
    source:
      "Deep et al. 2024 (arXiv 2406.11617), authors' code: epsilon is half their window; density 0.7 "
      + "and window 0.14 are their example's (their lambda there is 1.1), for the drop rate has no "
      + "default and the window's is 0. Ranks along the last axis, also of tensors with more than two. "
      + "Deviations: probabilities below 0 or above 1 are refused, where their code prints a line; "
      + "draws as in method 'dare'. mergekit's della is rescale 'l1' with epsilon 0.15; scope 'tensor' "
      + "is their whole-layer variant.",
    needsBase: true, needsFisher: false, isPermutationInvariant: false,
    options: [
      OptionSchema(
        "weights", .numberPerModel(0...1e6), default: .double(1),
        "Weight of each model, in the vote and in the mean."),
      OptionSchema(
        "lambda", .number(-1e6...1e6), default: .double(1), "Multiplies the merged task vector."),
    ] + RankedDropOptions.schema
      + ElectionOptions.schema(aggregate: "mean", zeroSign: "positive"))

  private let weights: [Double]
  private let drops: RankedDropOptions
  private let options: ElectionOptions

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    weights = try options.numberPerModel("weights")
    drops = try RankedDropOptions(options, owner: DELLA.info.id)
    self.options = try ElectionOptions(options, ofWholeUnits: true)
  }

  package var statistics: [ModelStatistic] {
    drops.statistics
      + (options.needsBalance(models: weights.count) ? [options.statistic] : [])
  }
  package func unit(of shape: Shape) -> TileUnit { drops.unit }
  package func memory(count: Int, shape: Shape) -> TileMemory { drops.memory(shape: shape) }

  package func sums(_ tile: InputTile, _ request: SumsRequest) throws(DFMergeError) -> [Double] {
    let mask = try drops.mask(tile)
    if drops.rescale.isAsked(by: request) { return drops.rescale.sums(tile, mask: mask) }
    return options.balance(tile, terms: terms(tile.statistics), mask: mask)
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard let base = tile.base else { return StoreOutcome() }
    return Kernels.electedTaskVectors(
      into: tile.out, base: base, models: tile.models, terms: terms(tile.statistics),
      election: options.election(tile.statistics), mask: try drops.mask(tile.inputs),
      count: tile.count)
  }

  private func terms(_ statistics: [ModelStatistic: [Double]]) -> [TaskVectorTerm] {
    zip(weights, drops.scales(statistics)).map { TaskVectorTerm(factor: $0 * $1, weight: $0) }
  }
}
