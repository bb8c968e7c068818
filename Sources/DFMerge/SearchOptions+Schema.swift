import DFMergeCore
import DFMergeMethods

extension SearchOptions {
  /// Every option with type, range, default and meaning: the optimiser's, and those of merging.
  public static let schema: [OptionSchema] =
    [
      OptionSchema(
        "strategy", .choice(Strategy.allCases.map(\.rawValue)), default: .string("bayesian"),
        "How candidates are chosen: by Bayesian optimisation, or as greedy soup: the best model alone, "
          + "which the others join one by one where their average scores strictly higher.")
    ] + OptimizerSettings.schema + start + space + merging + [
      OptionSchema(
        "threads", .integer(0...4096), default: .int(0),
        "Threads of a merge; 0 is one per available core. Changes no result.")
    ]

  /// What is tried first, and what is known before.
  private static let start: [OptionSchema] = [
    OptionSchema(
      "informed", .flag, default: .bool(true),
      "Start with points that are known to be good for merging (all coefficients 1/M, 0.3, 0.5, "
        + "0.15) before the space-filling design."),
    OptionSchema(
      "singles", .flag, default: .bool(false),
      "Evaluate each model alone as well, after the informed points; initial grows where it is "
        + "too small for them."),
    OptionSchema(
      "enqueue",
      .structured("a list of candidates, {\"coefficients\": [...], \"exponent\": p} or by model"),
      default: .array([]),
      "Candidates to evaluate before anything else, in this order; they are among the trials."),
    OptionSchema(
      "observations",
      .structured("a list of candidates with \"scores\" and, where known, \"variances\" by task"),
      default: .array([]),
      "What another search has found: the model of the scores learns from it, and it counts "
        + "towards initial. It is no trial of this search and never its best."),
  ]

  /// What is searched.
  private static let space: [OptionSchema] = [
    OptionSchema(
      "method", .choice(MethodRegistry.infos.map(\.id)), default: .string(ownMethod),
      "What candidates are merged by: DF-Merge, whose coefficients are searched, or another method, "
        + "whose numeric options in space are."),
    OptionSchema(
      "space",
      .structured(
        "an object from option to [low, high], one number for all models, or to an object of such "
          + "pairs by model, where \"*\" stands for each model"),
      default: .null,
      "Other methods: what is searched of the method's options."),
    OptionSchema(
      "method_options", .structured("an object of options as in a merge"), default: .null,
      "Other methods: the options that all candidates share."),
    OptionSchema(
      "bounds", .intervalPerModel(-100...100), default: .array([.double(0), .double(1)]),
      "Interval of each model's coefficient."),
    OptionSchema(
      "groups",
      .structured(
        "null, \"layers:K\", a list of {\"name\", \"pattern\"}, or an object of patterns by name"),
      default: .null,
      "Groups of tensors with coefficients of their own, by patterns of their names (* and ?) or "
        + "in K runs of layers; tensors that no group takes form the group rest."),
  ]

  /// How a candidate is merged.
  private static let merging: [OptionSchema] = [
    OptionSchema(
      "fisher", .choice(FisherMode.allCases.map(\.rawValue)), default: .string("interpolated"),
      "Where Fisher values come from: dynamic, static, interpolated or none."),
    OptionSchema(
      "fisher_position", .number(0...1), default: .double(0.5),
      "dynamic and interpolated: model m's Fisher is taken at c_m + position (1 - c_m): 0 is the "
        + "scaled model (the paper), 1 the fine-tuned model."),
    OptionSchema(
      "nodes", .integer(2...65), default: .int(5),
      "interpolated: number of points at which each model's Fisher is measured."),
    OptionSchema(
      "exponent", .numberOrChoice(0...1, ["search"]), default: .string("search"),
      "Power of the Fisher weights: 1 is the paper, 0 is task arithmetic, search tunes it."),
    OptionSchema(
      "epsilon", .number(1e-38...1), default: .double(1e-12), "Added to every Fisher value."),
  ]

  /// What `preset: "paper"` sets (arXiv 2504.18992, authors' code).
  static let paper: [String: JSONValue] = OptimizerSettings.paper.merging([
    "informed": .bool(false), "fisher": .string("dynamic"), "fisher_position": .double(0),
    "exponent": .double(1),
  ]) { _, merging in merging }

  /// The options that act in a greedy soup.
  static let soupOptions: Set<String> = [
    "strategy", "method", "trials", "tasks", "aggregate", "task_weights", "floors", "target",
    "max_seconds", "threads",
  ]

  /// What the strategy "greedy_soup" sets for so many models.
  static func soup(_ models: Int) -> [String: JSONValue] {
    [
      "method": .string("average"), "fisher": .string(FisherMode.none.rawValue),
      "best_by": .string("observed"), "trials": .int(Int64(max(1, 2 * models - 1))),
    ]
  }

  /// Refuses options of a greedy soup that would change nothing. Those that say what it does anyway
  /// are welcome: `fisher` "none", `best_by` "observed", `preset` "default".
  static func refuseBesideSoup(_ given: JSONValue) throws(DFMergeError) {
    let plain = ["fisher": "none", "best_by": "observed", "preset": "default"]
    let rules = (given.objectValue ?? [:]).keys.sorted().map { name in
      (
        option: name,
        acts: soupOptions.contains(name) || plain[name].map { given[name] == .string($0) } == true,
        needs: "strategy 'bayesian'"
      )
    }
    try OptimizerSettings.refuseInert(rules, given: given, owner: "the search")
    guard let method = given["method"]?.stringValue, method != "average" else { return }
    throw DFMergeError(
      .invalidOption,
      "Option 'method' of the search is '\(method)', but strategy 'greedy_soup' averages models; leave "
        + "it out, or choose strategy 'bayesian'.", context: ["option": "method"])
  }

  /// The schema as a JSON array, for the bindings.
  public static var schemaJSON: JSONValue { .array(schema.map(\.json)) }

  /// Refuses options of merging that would change nothing; the optimiser's are refused by
  /// ``OptimizerSettings``.
  static func refuseInert(_ given: JSONValue, _ values: OptionValues) throws(DFMergeError) {
    let fisher = values.word("fisher") ?? ""
    let isOwn = values.word("method") == ownMethod
    let searchesExponent = fisher != "none" && values.word("exponent") == "search"
    let hasExponentZero =
      searchesExponent || fisher == "none" || values.values["exponent"]?.doubleValue == 0
    try OptimizerSettings.refuseInert(
      [
        ("space", !isOwn, "another method than df_merge"),
        ("method_options", !isOwn, "another method than df_merge"),
        ("bounds", isOwn, "method 'df_merge'; another method has its ranges in space"),
        ("fisher", isOwn || fisher == "none", "method 'df_merge'"),
        ("singles", isOwn || given["singles"]?.boolValue == false, "method 'df_merge'"),
        ("nodes", fisher == "interpolated", "fisher 'interpolated'"),
        (
          "fisher_position", fisher == "interpolated" || fisher == "dynamic",
          "fisher 'interpolated' or 'dynamic'"
        ),
        ("exponent", fisher != "none" || given["exponent"]?.doubleValue == 0, "Fisher values"),
        ("epsilon", fisher != "none", "Fisher values"),
        (
          "singles", hasExponentZero || given["singles"]?.boolValue == false,
          "an exponent that is searched or 0, for only exponent 0 gives a model alone"
        ),
      ], given: given, owner: "the search")
  }
}
