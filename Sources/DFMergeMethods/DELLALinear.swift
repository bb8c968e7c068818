import DFMergeCore
import DFMergeKernels

/// Drop small changes at random, rescale, then a sum.
package struct DELLALinear: MergeMethod {
  package static let info = MethodInfo(
    id: "della_linear",
    title: "DELLA without election",
    formula:
      "theta = theta0 + sum(c_m b_m tau_m / q_m);  b_m ~ Bernoulli(q_m);  q_m = density_m - epsilon_m "
      + "+ 2 epsilon_m (r - 1) / (n - 1)    (r: rank of |tau_m| in its row of n, 1 the smallest)",
    summary:
      "DARE whose dropping respects size: within each row, large changes are kept more often than small "
      + "ones, and what is kept is divided by its own probability, so that the expected result is that "
      + "of task arithmetic. Ranks, draws and rows as in 'della'.",
    source:
      "Deep et al. 2024 (arXiv 2406.11617), authors' code, without the election; see 'della'. "
      + "mergekit's della_linear is rescale 'l1' with epsilon 0.15.",
    needsBase: true, needsFisher: false, isPermutationInvariant: false,
    options: [
      OptionSchema(
        "coefficients", .numberPerModel(-1e6...1e6), default: .double(0.3),
        "Coefficient of each task vector.")
    ] + RankedDropOptions.schema)

  private let coefficients: [Double]
  private let drops: RankedDropOptions

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    coefficients = try options.numberPerModel("coefficients")
    drops = try RankedDropOptions(options, owner: DELLALinear.info.id)
  }

  package var statistics: [ModelStatistic] { drops.statistics }
  package func unit(of shape: Shape) -> TileUnit { drops.unit }
  package func memory(count: Int, shape: Shape) -> TileMemory { drops.memory(shape: shape) }

  package func sums(_ tile: InputTile, _ request: SumsRequest) throws(DFMergeError) -> [Double] {
    drops.rescale.sums(tile, mask: try drops.mask(tile))
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard let base = tile.base else { return StoreOutcome() }
    let terms = zip(coefficients, drops.scales(tile.statistics)).map {
      TaskVectorTerm(factor: $0 * $1)
    }
    return Kernels.termSum(
      into: tile.out, base: base, models: tile.models, terms: terms,
      mask: try drops.mask(tile.inputs), count: tile.count)
  }
}
