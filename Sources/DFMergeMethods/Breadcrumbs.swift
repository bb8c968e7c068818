import DFMergeCore
import DFMergeKernels

/// Both tails of the task vectors cut off, then a sum.
package struct Breadcrumbs: MergeMethod {
  package static let info = MethodInfo(
    id: "breadcrumbs",
    title: "Model Breadcrumbs",
    formula:
      "theta = theta0 + sum(c_m tau_m)    (over l_m <= |tau_m| < u_m: the floor(gamma n) largest are "
      + "removed, the floor(density n) largest of the rest kept)",
    summary:
      "Task arithmetic without outliers and without small changes, so that many tasks can be added "
      + "with one coefficient. Shares are exact counts: within a row, equal magnitudes go by the order "
      + "of their elements, the later ones counting as larger; within a tensor or the model, elements "
      + "that equal the smallest one kept are kept and those that equal the smallest one removed are "
      + "removed. tau_m is compared in F32 (F64 where an operand is) and summed in double.",
    source:
      "Davari and Belilovsky 2024 (arXiv 2312.06795), authors' code: row by row along the last axis, "
      + "density 0.2 and gamma 0.1, coefficient 0.4 of their example; scalars are kept whole, and so "
      + "short rows that floor(density n) = 0 vanish. Deviation: none but the order of equal "
      + "magnitudes, which their code leaves open. mergekit 0.1.4's breadcrumbs is scope 'tensor', "
      + "variant 'mergekit', gamma 0.01, up to which of equal changes are kept; 0.1.5 is so but for "
      + "tensors without outliers, where floor(gamma n) is 0.",
    needsBase: true, needsFisher: false,
    options: [
      OptionSchema(
        "coefficients", .numberPerModel(-1e6...1e6), default: .double(0.4),
        "Coefficient of each task vector.")
    ] + TailOptions.schema)

  private let coefficients: [Double]
  private let tails: TailOptions

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    coefficients = try options.numberPerModel("coefficients")
    tails = try TailOptions(options)
  }

  package var statistics: [ModelStatistic] { tails.statistics }
  package func unit(of shape: Shape) -> TileUnit { tails.unit }
  package func memory(count: Int, shape: Shape) -> TileMemory { tails.memory(shape: shape) }

  package func rank(
    _ request: RankRequest, index: Int, count: Int, statistics: [ModelStatistic: [Double]]
  ) -> Int {
    tails.rank(index: index, count: count)
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard let base = tile.base else { return StoreOutcome() }
    return Kernels.termSum(
      into: tile.out, base: base, models: tile.models,
      terms: tails.terms(tile.inputs, factors: coefficients, weights: coefficients),
      mask: tails.mask(tile.inputs), count: tile.count)
  }
}
