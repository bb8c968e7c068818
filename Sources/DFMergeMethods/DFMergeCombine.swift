import DFMergeCore
import DFMergeKernels

/// DF-Merge's merge step for given coefficients and given Fisher values.
package struct DFMergeCombine: MergeMethod {
  package static let info = MethodInfo(
    id: "df_merge",
    title: "DF-Merge's merge step",
    formula:
      "W_m = (F_m + epsilon)^exponent;  theta = theta0 + M sum(W_m c_m (theta_m - theta0)) / "
      + "sum(W_m)",
    summary:
      "Task arithmetic whose sum is redistributed by Fisher weights: with equal Fishers, or with "
      + "exponent 0, it is task arithmetic exactly. In the paper F_m is measured at "
      + "theta0 + c_m (theta_m - theta0); a search does that by itself. A tensor without Fisher "
      + "values is merged with equal weights. One model with coefficient 1 is returned bit for "
      + "bit.",
    source:
      "Lee et al. 2025 (arXiv 2504.18992), authors' code: epsilon 1e-12 is added after "
      + "averaging over "
      + "samples, no normalisation across models. Deviation: exponent (tempered weights) is "
      + "ours; 1 "
      + "is the paper.",
    needsBase: true, needsFisher: true,
    options: [
      OptionSchema(
        "coefficients", .numberPerModel(-1e6...1e6), default: .double(0.3),
        "Coefficient of each task vector."),
      OptionSchema(
        "epsilon", .number(1e-38...1), default: .double(1e-12), "Added to every Fisher value."),
      OptionSchema(
        "exponent", .number(0...1), default: .double(1),
        "Power of the weights: 1 is the paper, 0 is task arithmetic."),
    ])

  /// One per model, for each group of tensors; one row where all tensors share their coefficients.
  private let coefficients: [[Double]]
  private let epsilon: Double
  private let exponent: Double

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    coefficients = [try options.numberPerModel("coefficients")]
    epsilon = try options.number("epsilon")
    exponent = try options.number("exponent")
  }

  /// The same step from values that a search has already checked.
  /// - Parameter coefficients: one per model, for each group that the executor's tensors are in.
  package init(coefficients: [[Double]], epsilon: Double, exponent: Double) {
    self.coefficients = coefficients
    self.epsilon = epsilon
    self.exponent = exponent
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard let base = tile.base else { return StoreOutcome() }
    let coefficients = coefficients[coefficients.count == 1 ? 0 : tile.group]
    guard !tile.fishers.isEmpty, exponent != 0 else {
      return Kernels.taskVectorSum(
        into: tile.out, base: base, models: tile.models, coefficients: coefficients,
        count: tile.count)
    }
    return Kernels.dynamicFisherSum(
      into: tile.out, base: base, models: tile.models, fishers: tile.fishers,
      coefficients: coefficients, epsilon: epsilon, exponent: exponent, count: tile.count)
  }
}
