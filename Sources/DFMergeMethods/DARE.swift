import DFMergeCore
import DFMergeKernels

/// Drop and rescale, then a sum of task vectors.
package struct DARE: MergeMethod {
  package static let info = MethodInfo(
    id: "dare",
    title: "DARE",
    formula: "theta = theta0 + sum(c_m b_m tau_m / density_m);  b_m ~ Bernoulli(density_m)",
    summary:
      "Task arithmetic on task vectors whose elements are dropped at random and the rest scaled "
      + "up, so that the expected result is that of task arithmetic; for small changes, such as "
      + "those of instruction tuning. Density 1 is task arithmetic.",
    source:
      "Yu et al. 2024 (arXiv 2311.03099), authors' code: drop rate 0.1, which is density 0.9. "
      + "Deviations: rescaling is on, as in the paper, while the authors' script leaves it to a "
      + "flag; the draws are a function of seed, tensor name, model number and element, so the "
      + "result depends on the order of the models; their strategy 'magnitude', which drops the "
      + "smallest changes in place of random ones, is left to 'breadcrumbs' (gamma 0), which does not "
      + "rescale. rescale 'l1' is that of mergekit's dare_linear.",
    needsBase: true, needsFisher: false, isPermutationInvariant: false,
    options: [
      OptionSchema(
        "coefficients", .numberPerModel(-1e6...1e6), default: .double(0.3),
        "Coefficient of each task vector.")
    ] + DropOptions.schema)

  private let coefficients: [Double]
  private let drops: DropOptions

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    coefficients = try options.numberPerModel("coefficients")
    drops = try DropOptions(options)
  }

  package var statistics: [ModelStatistic] { drops.statistics }

  package func sums(_ tile: InputTile, _ request: SumsRequest) -> [Double] {
    drops.rescale.sums(tile, mask: drops.mask(tile))
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard let base = tile.base else { return StoreOutcome() }
    if drops.keepsAll {
      return Kernels.taskVectorSum(
        into: tile.out, base: base, models: tile.models, coefficients: coefficients,
        count: tile.count)
    }
    let terms = zip(coefficients, drops.scales(tile.statistics)).map {
      TaskVectorTerm(factor: $0 * $1)
    }
    return Kernels.termSum(
      into: tile.out, base: base, models: tile.models, terms: terms,
      mask: drops.mask(tile.inputs), count: tile.count)
  }
}
