import DFMergeCore
import DFMergeKernels

/// The weighted mean of the models, element by element.
package struct WeightedAverage: MergeMethod {
  package static let info = MethodInfo(
    id: "average",
    title: "Weighted average (model soup)",
    formula: "theta = sum(w_m theta_m) / sum(w_m)    (normalize = false: no division)",
    summary:
      "The plainest merge: equal weights give the uniform soup. One model with weight 1 is "
      + "returned bit for bit. Needs no base and no data. Which models to average, a search with the "
      + "strategy greedy_soup finds out.",
    source: "Wortsman et al. 2022 (arXiv 2203.05482). No deviations.",
    needsBase: false, needsFisher: false,
    options: [
      OptionSchema(
        "weights", .numberPerModel(-1e6...1e6), default: .double(1),
        "Weight of each model, before normalisation."),
      OptionSchema(
        "normalize", .flag, default: .bool(true), "Divide the weights by their sum first."),
    ])

  private let weights: [Double]

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    let given = try options.numberPerModel("weights")
    let sum = given.reduce(0, +)
    guard try options.flag("normalize") else {
      weights = given
      return
    }
    guard sum != 0 else {
      throw DFMergeError(
        .invalidOption,
        "The weights of method 'average' sum to 0 and cannot be normalised; change them or set "
          + "normalize to false.", context: ["option": "weights"])
    }
    weights = given.map { $0 / sum }
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    if tile.models.count == 1, weights == [1] {
      return Kernels.convert(into: tile.out, tile.models[0], count: tile.count)
    } else {
      return Kernels.linearCombination(
        into: tile.out, tile.models, weights: weights, count: tile.count)
    }
  }
}
