import DFMergeCore
import DFMergeKernels

/// Both tails of the task vectors cut off, then a vote on the signs.
package struct BreadcrumbsTIES: MergeMethod {
  package static let info = MethodInfo(
    id: "breadcrumbs_ties",
    title: "Breadcrumbs-TIES",
    formula:
      "v_m = w_m tau_m where l_m <= |tau_m| < u_m, else 0;  s = sign(sum(v_m));  "
      + "theta = theta0 + lambda sum(v_m)    (sum over sign(v_m) = s)",
    summary:
      "Model Breadcrumbs in place of TIES' trimming: the largest changes are cut off as outliers, the "
      + "small ones as noise, and every parameter moves only with the models that agree on its "
      + "direction. aggregate 'mean' is mergekit's normalize. Shares as in 'breadcrumbs'.",
    source:
      "Davari and Belilovsky 2024 (arXiv 2312.06795) and Yadav et al. 2023 (arXiv 2306.01708); "
      + "combined as in mergekit's breadcrumbs_ties: weighted sum, tied votes positive. Deviation: "
      + "shares are taken of rows, as in the code of the former; those of mergekit 0.1.4 are scope "
      + "'tensor', variant 'mergekit', gamma 0.01, up to which of equal changes are kept; 0.1.5 is so "
      + "but for tensors without outliers, where floor(gamma n) is 0.",
    needsBase: true, needsFisher: false,
    options: [
      OptionSchema(
        "weights", .numberPerModel(0...1e6), default: .double(1),
        "Weight of each model, in the vote and in the sum."),
      OptionSchema(
        "lambda", .number(-1e6...1e6), default: .double(1), "Multiplies the merged task vector."),
    ] + TailOptions.schema + ElectionOptions.schema(aggregate: "sum", zeroSign: "positive"))

  private let weights: [Double]
  private let tails: TailOptions
  private let options: ElectionOptions

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    weights = try options.numberPerModel("weights")
    let tails = try TailOptions(options)
    self.tails = tails
    self.options = try ElectionOptions(options, ofWholeUnits: tails.isByRow)
  }

  package var statistics: [ModelStatistic] {
    tails.statistics
      + (options.needsBalance(models: weights.count) ? [options.statistic] : [])
  }
  package func unit(of shape: Shape) -> TileUnit { tails.unit }
  package func memory(count: Int, shape: Shape) -> TileMemory { tails.memory(shape: shape) }

  package func rank(
    _ request: RankRequest, index: Int, count: Int, statistics: [ModelStatistic: [Double]]
  ) -> Int {
    tails.rank(index: index, count: count)
  }

  package func sums(_ tile: InputTile, _ request: SumsRequest) -> [Double] {
    options.balance(
      tile, terms: tails.terms(tile, factors: weights, weights: weights), mask: tails.mask(tile))
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard let base = tile.base else { return StoreOutcome() }
    return Kernels.electedTaskVectors(
      into: tile.out, base: base, models: tile.models,
      terms: tails.terms(tile.inputs, factors: weights, weights: weights),
      election: options.election(tile.statistics), mask: tails.mask(tile.inputs),
      count: tile.count)
  }
}
