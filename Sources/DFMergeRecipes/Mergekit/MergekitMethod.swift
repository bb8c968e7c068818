/// A method of mergekit and its parameters, with mergekit's defaults.
///
/// Source:  mergekit 0.1.4 (commit a6e4028), `merge_methods`.
struct MergekitMethod: Sendable {
  struct Parameter: Sendable {
    let name: String
    /// nil where a value must be given.
    let fallback: Double?

    init(_ name: String, _ fallback: Double? = nil) {
      self.name = name
      self.fallback = fallback
    }
  }

  let name: String
  /// Looked up for every model: in its own parameters, the slice's, the configuration's.
  let byModel: [Parameter]
  /// Looked up in the slice's parameters and the configuration's.
  let global: [Parameter]

  static func named(_ name: String) -> MergekitMethod? { all.first { $0.name == name } }

  /// Names that some method has, to tell a slip of the pen from what has no effect.
  static let knownParameters: Set<String> = Set(
    all.flatMap { $0.byModel + $0.global }.map(\.name) + ["r", "alpha"])

  /// What mergekit has and we do not, by name.
  static let unsupported = ["nearswap", "arcee_fusion", "ram", "ramplus_tl"]

  static let all: [MergekitMethod] = [
    MergekitMethod(
      name: "linear", byModel: [Parameter("weight")], global: [Parameter("normalize", 1)]),
    MergekitMethod(name: "slerp", byModel: [], global: [Parameter("t")]),
    MergekitMethod(
      name: "nuslerp", byModel: [Parameter("weight")],
      global: [Parameter("nuslerp_row_wise", 0), Parameter("nuslerp_flatten", 1)]),
    MergekitMethod(
      name: "multislerp", byModel: [Parameter("weight")],
      global: [Parameter("normalize_weights", 1), Parameter("eps", 1e-8)]),
    MergekitMethod(
      name: "karcher", byModel: [], global: [Parameter("max_iter", 10), Parameter("tol", 1e-5)]),
    MergekitMethod(name: "passthrough", byModel: [Parameter("scale", 1)], global: []),
    MergekitMethod(name: "model_stock", byModel: [], global: [Parameter("filter_wise", 0)]),
    MergekitMethod(
      name: "sce", byModel: [], global: [Parameter("int8_mask", 0), Parameter("select_topk", 1)]),
    taskArithmetic("task_arithmetic"),
    taskArithmetic("ties", normalizes: true),
    taskArithmetic("dare_ties", rescales: true),
    taskArithmetic("dare_linear", rescales: true),
    taskArithmetic("breadcrumbs", [Parameter("gamma", 0.01)]),
    taskArithmetic("breadcrumbs_ties", [Parameter("gamma", 0.01)]),
    taskArithmetic("della", [Parameter("epsilon", 0.15)], normalizes: true, rescales: true),
    taskArithmetic("della_linear", [Parameter("epsilon", 0.15)], rescales: true),
  ]

  /// The family that mergekit calls generalised task arithmetic.
  private static func taskArithmetic(
    _ name: String, _ more: [Parameter] = [], normalizes: Bool = false, rescales: Bool = false
  ) -> MergekitMethod {
    MergekitMethod(
      name: name, byModel: [Parameter("weight"), Parameter("density", 1)] + more,
      global: [
        Parameter("int8_mask", 0), Parameter("normalize", normalizes ? 1 : 0),
        Parameter("rescale", rescales ? 1 : 0), Parameter("lambda", 1),
      ])
  }
}
