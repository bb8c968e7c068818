import DFMergeCore
import DFMergeKernels

/// The mean of the models weighted by their diagonal Fisher information.
package struct FisherMerging: MergeMethod {
  package static let info = MethodInfo(
    id: "fisher",
    title: "Fisher merging",
    formula:
      "theta = sum(w_m G_m theta_m) / sum(w_m G_m);  G_m = max(F_m, floor);  "
      + "normalize: w_m = weight_m / ||F_m||_2;  "
      + "floor_rule add: G_m = F_m + floor, w_m = weight_m / (||F_m||_2 + floor)",
    summary:
      "Each parameter leans to the models that are sure of it. F_m is measured at theta_m. Where "
      + "every weight is 0 the result is the plain mean. Needs Fisher values for every model.",
    source:
      "Matena and Raffel 2022 (arXiv 2111.09832), authors' code: Fishers are normalised by their "
      + "global L2 norm, and the floor 1e-6 applies to the first (target) model only, so that a "
      + "parameter that no other model cares about stays at the first model's value. floor_rule "
      + "'add' with floor_scope 'all' is the form of MergeLM and fusion_bench: where F_m is well "
      + "below the floor it is the plain mean.",
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
      OptionSchema(
        "floor_rule", .choice(["max", "add"]), default: .string("max"),
        "Whether smaller Fisher values become the floor, or it is added to all of them and, where "
          + "weights are normalised, to the norms."),
    ])

  private let weights: [Double]
  private let floors: [Double]
  private let normalizes: Bool
  private let addsFloors: Bool

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
    addsFloors = options.word("floor_rule") == "add"
    floors = (0..<modelCount).map { all || $0 == 0 ? floor : 0 }
  }

  package var statistics: [ModelStatistic] { normalizes ? [.fisherSumOfSquares] : [] }

  package func memory(count: Int, shape: Shape) -> TileMemory {
    TileMemory(workspace: addsFloors ? count &* 8 &* weights.count : 0)
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard !tile.fishers.isEmpty else {
      let equal = weights.map { $0 / weights.reduce(0, +) }
      return Kernels.linearCombination(
        into: tile.out, tile.models, weights: equal, count: tile.count)
    }
    var scaled = weights
    if let sums = tile.statistics[.fisherSumOfSquares] {
      // A model without any Fisher information keeps its weight: only its floor can count.
      scaled = zip(weights.indices, sums).map { model, sum in
        let norm = sum.squareRoot() + (addsFloors ? floors[model] : 0)
        return norm > 0 ? weights[model] / norm : weights[model]
      }
    }
    if addsFloors {
      return Kernels.fisherWeightedMean(
        into: tile.out, models: tile.models, fishers: raised(tile), weights: scaled,
        floors: floors.map { _ in 0 }, count: tile.count)
    }
    return Kernels.fisherWeightedMean(
      into: tile.out, models: tile.models, fishers: tile.fishers, weights: scaled,
      floors: floors, count: tile.count)
  }

  /// `F_m + floor_m`; values that are none of Fisher information stay, to be found by the kernel.
  private func raised(_ tile: MergeTile) -> [FisherElements] {
    let bytes = tile.count &* 8
    return tile.fishers.indices.map { model in
      let fisher = tile.fishers[model]
      guard let start = tile.workspace.baseAddress,
        tile.workspace.count >= bytes &* tile.fishers.count, fisher.upper == nil,
        Kernels.firstNegativeOrNonFinite(fisher.lower, count: tile.count) == nil
      else { return fisher }
      let room = start + model &* bytes
      let own = MutableElements(pointer: room, dtype: .f64)
      Kernels.convert(into: own, fisher.lower, count: tile.count)
      let values = room.assumingMemoryBound(to: Double.self)
      for element in 0..<tile.count { values[element] += floors[model] }
      return FisherElements(lower: own.readable)
    }
  }
}
