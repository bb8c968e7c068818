import DFMergeCore
import DFMergeKernels

/// The base plus a scaled sum of task vectors.
package struct TaskArithmetic: MergeMethod {
  package static let info = MethodInfo(
    id: "task_arithmetic",
    title: "Task arithmetic",
    formula: "theta = theta0 + sum(c_m (theta_m - theta0))",
    summary:
      "Adds what each fine-tune learnt, scaled. Choose the coefficient on validation data; "
      + "negative coefficients unlearn. One model with coefficient 1 is returned bit for bit.",
    source:
      "Ilharco et al. 2023 (arXiv 2212.04089). Deviation: tensors that a model lacks are an error "
      + "here; the authors' code drops them with a warning.",
    needsBase: true, needsFisher: false,
    options: [
      OptionSchema(
        "coefficients", .numberPerModel(-1e6...1e6), default: .double(0.3),
        "Coefficient of each task vector. 0.3 is the field's usual start for several tasks.")
    ])

  private let coefficients: [Double]

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    coefficients = try options.numberPerModel("coefficients")
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard let base = tile.base else { return StoreOutcome() }
    return Kernels.taskVectorSum(
      into: tile.out, base: base, models: tile.models, coefficients: coefficients,
      count: tile.count)
  }
}
