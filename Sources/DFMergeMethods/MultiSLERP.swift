import DFMergeCore
import DFMergeKernels

/// The mean direction of any number of models, at their mean length.
package struct MultiSLERP: MergeMethod {
  package static let info = MethodInfo(
    id: "multislerp",
    title: "Multi-SLERP",
    formula:
      "u_m = v_m / (|v_m| + eps);  theta = sum(w_m |v_m|) sum(w_m u_m) / |sum(w_m u_m)|;  "
      + "v_m = theta_m;  with a base: v_m = tau_m, and theta0 is added",
    summary:
      "The barycentre of the models' directions on the sphere, tensor by tensor, scaled to their "
      + "mean length; where a base is given, of the changes from it. Directions that cancel, so that "
      + "the sum's length is less than eps, and tensors that are all zeros are averaged linearly.",
    source:
      "No paper; mergekit's multislerp (Goddard 2025). Its step into the tangent space at the mean and back is "
      + "left out, for at the weighted mean of the directions the weighted tangent vectors cancel: it "
      + "gives back the mean, up to rounding. Deviations: equal weights by default; directions that "
      + "cancel are averaged for any number of models, where mergekit refuses three or more.",
    // eps is not scaled.
    needsBase: false, usesBase: true, needsFisher: false, scalesWithInputs: false,
    options: [
      OptionSchema(
        "weights", .numberPerModel(-1e6...1e6), default: .double(1), "Weight of each model."),
      OptionSchema(
        "normalize", .flag, default: .bool(true), "Divide the weights by their sum first."),
      OptionSchema(
        "eps", .number(0...1), default: .double(1e-8),
        "Added to lengths; and the length below which a sum of directions counts as none."),
    ])

  private let weights: [Double]
  private let eps: Double
  private let request: SumsRequest

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    weights = try options.weights(of: "multislerp", normalized: try options.flag("normalize"))
    eps = try options.number("eps")
    request = GramMatrix.request(models: modelCount, scope: .tensor)
  }

  package var statistics: [ModelStatistic] { [.sums(request)] }

  package func sums(_ tile: InputTile, _ request: SumsRequest) -> [Double] {
    GramMatrix.sums(tile, from: tile.base)
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    if tile.models.count == 1 {
      return Kernels.convert(into: tile.out, tile.models[0], count: tile.count)
    }
    let gram = GramMatrix(count: weights.count, tile.statistics[.sums(request)] ?? [])
    let lengths = weights.indices.map { gram.norm($0) }
    let directions = zip(weights, lengths).map { weight, length in
      length + eps > 0 ? weight / (length + eps) : 0
    }
    let length = gram.norm(of: directions)
    guard !(length < max(eps, .leastNormalMagnitude)) else {
      return tile.combine(weights, from: tile.base)
    }
    let mean = zip(weights, lengths).reduce(0) { $0 + $1.0 * $1.1 }
    return tile.combine(directions.map { $0 * mean / length }, from: tile.base)
  }
}

extension OptionValues {
  /// The option `weights`, divided by their sum where `normalized`.
  /// - Throws: `.invalidOption` for weights that sum to 0.
  func weights(of method: String, normalized: Bool) throws(DFMergeError) -> [Double] {
    let given = try numberPerModel("weights")
    guard normalized else { return given }
    let sum = given.reduce(0, +)
    guard sum != 0 else {
      throw DFMergeError(
        .invalidOption,
        "The weights of method '\(method)' sum to 0 and cannot be normalised; change them"
          + (values["normalize"] == nil ? "." : " or set normalize to false."),
        context: ["option": "weights"])
    }
    return given.map { $0 / sum }
  }
}
