import DFMergeCore
import DFMergeKernels

/// The mean of the models weighted by their diagonal Fisher information.
package struct FisherMerging: MergeMethod {
  package static let info = MethodInfo(
    id: "fisher",
    title: "Fisher merging",
    formula:
      "theta = sum(w_m G_m theta_m) / sum(w_m G_m);  G_m = max(F_m, floor);  "
      + "normalize: w_m = weight_m / ||F_m||_2",
    summary:
      "Each parameter leans to the models that are sure of it. F_m is measured at theta_m. Where "
      + "every weight is 0 the result is the plain mean. Needs Fisher values for every model.",
    source:
      "Matena and Raffel 2022 (arXiv 2111.09832), authors' code: Fishers are normalised by their "
      + "global L2 norm, and the floor 1e-6 applies to the first (target) model only, so that a "
      + "parameter that no other model cares about stays at the first model's value.",
    needsBase: false, needsFisher: true, isPermutationInvariant: false,
    options: [
      OptionSchema(
        "weights", .numberPerModel(0...1e6), default: .double(1), "Weight of each model."),
      OptionSchema(
        "normalize", .flag, default: .bool(true),
        "Divide each model's weight by the L2 norm of its Fisher values over the whole model."),
      OptionSchema(
        "floor", .number(0...1e6), default: .double(1e-6), "Smallest Fisher value used."),
      OptionSchema(
        "floor_scope", .choice(["first", "all"]), default: .string("first"),
        "Whether the floor applies to the first model only or to all."),
    ])

  private let weights: [Double]
  private let floors: [Double]
  private let normalizes: Bool

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    weights = try options.numberPerModel("weights")
    guard weights.contains(where: { $0 > 0 }) else {
      throw DFMergeError(
        .invalidOption, "Every weight of method 'fisher' is 0; give one model a weight above 0.",
        context: ["option": "weights"])
    }
    normalizes = try options.flag("normalize")
    let floor = try options.number("floor")
    let all = options.word("floor_scope") == "all"
    floors = (0..<modelCount).map { all || $0 == 0 ? floor : 0 }
  }

  package var statistics: [ModelStatistic] { normalizes ? [.fisherSumOfSquares] : [] }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard !tile.fishers.isEmpty else {
      let equal = weights.map { $0 / weights.reduce(0, +) }
      return Kernels.linearCombination(
        into: tile.out, tile.models, weights: equal, count: tile.count)
    }
    var scaled = weights
    if let sums = tile.statistics[.fisherSumOfSquares] {
      // A model without any Fisher information keeps its weight: only its floor can count.
      scaled = zip(weights, sums).map { $1 > 0 ? $0 / $1.squareRoot() : $0 }
    }
    return Kernels.fisherWeightedMean(
      into: tile.out, models: tile.models, fishers: tile.fishers, weights: scaled,
      floors: floors, count: tile.count)
  }
}
