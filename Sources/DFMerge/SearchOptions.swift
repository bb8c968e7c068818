import DFMergeBO
import DFMergeCore

/// Everything that decides what a search does; equal options, inputs and callbacks give equal
/// trials.
///
/// Options travel as JSON and are checked against ``schema``; the preset fills in what the caller
/// leaves out. `threads` is the one option that never changes a result.
public struct SearchOptions: Sendable {
  /// Where the Fisher values of a candidate come from.
  public enum FisherMode: String, Sendable, CaseIterable {
    /// Measured for every candidate at base + c_m (model_m - base), the paper's place, or further
    /// towards the model (`fisher_position`).
    case dynamic
    /// Measured once per model, at the fine-tuned model itself.
    case `static`
    /// Measured at `nodes` points of each coefficient's interval, on first use, and interpolated
    /// linearly per parameter: model m's Fisher depends on its own coefficient alone.
    case interpolated
    /// No Fisher values: the search tunes task arithmetic.
    case none
  }

  /// Every option with type, range, default and meaning.
  public static let schema: [OptionSchema] = [
    OptionSchema(
      "preset", .choice(["default", "paper"]), default: .string("default"),
      "Defaults for the other options: ours, or the paper's exactly."),
    OptionSchema(
      "trials", .integer(1...1_000_000), default: .int(60), "Number of evaluations in all."),
    OptionSchema(
      "initial", .integer(1...1_000_000), default: .int(10),
      "How many of the trials are chosen before the model of the scores is used."),
    OptionSchema(
      "seed", .integer(0...Int(UInt32.max)), default: .int(0), "Seed of every random choice."),
    OptionSchema(
      "bounds", .intervalPerModel(-100...100), default: .array([.double(0), .double(1)]),
      "Interval of each model's coefficient."),
    OptionSchema(
      "acquisition", .choice(["log_nei", "log_ei", "ei", "ucb"]), default: .string("log_nei"),
      "Which acquisition function chooses the next point."),
    OptionSchema(
      "xi", .number(0...1e6), default: .double(0),
      "ei and log_ei: improvement asked for, in "
        + "score units."),
    OptionSchema(
      "kappa", .number(0...1e6), default: .double(2.576),
      "ucb: standard deviations above the mean."),
    OptionSchema(
      "informed", .flag, default: .bool(true),
      "Start with points that are known to be good for merging (all coefficients 1/M, 0.3, 0.5, "
        + "0.15) before the space-filling design."),
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
    OptionSchema(
      "aggregate", .choice(Objective.Aggregate.allCases.map(\.rawValue)), default: .string("mean"),
      "How the tasks' scores become one number."),
    OptionSchema(
      "task_weights", .numberPerTask(0...1e6), default: .object([:]),
      "Weight of each task, for aggregate weighted."),
    OptionSchema(
      "tasks", .names, default: .array([.string("score")]),
      "Names of the tasks, in the order in which the evaluation reports their scores."),
    OptionSchema(
      "best_by", .choice(["observed", "posterior_mean"]), default: .string("posterior_mean"),
      "Final choice among the evaluated points: the best score, or the best posterior mean."),
    OptionSchema(
      "threads", .integer(0...4096), default: .int(0),
      "Threads of a merge; 0 is one per available core. Changes no result."),
  ]

  /// What `preset: "paper"` sets (arXiv 2504.18992, authors' code).
  static let paper: [String: JSONValue] = [
    "acquisition": .string("ei"), "xi": .double(0.01), "informed": .bool(false),
    "fisher": .string("dynamic"), "fisher_position": .double(0), "exponent": .double(1),
    "best_by": .string("observed"),
  ]

  /// The schema as a JSON array, for the bindings.
  public static var schemaJSON: JSONValue { .array(schema.map(\.json)) }

  public let isPaperPreset: Bool
  public let trials: Int
  public let initial: Int
  public let seed: UInt64
  /// One interval per model.
  public let bounds: [ClosedRange<Double>]
  public let acquisition: String
  public let xi: Double
  public let kappa: Double
  public let isInformed: Bool
  public let fisherMode: FisherMode
  /// Where between the scaled model (0) and the fine-tuned model (1) a Fisher is measured.
  public let fisherPosition: Double
  public let nodes: Int
  /// The fixed exponent; nil when it is searched.
  public let exponent: Double?
  public let epsilon: Double
  public let objective: Objective
  public let tasks: [String]
  public let bestByPosteriorMean: Bool
  public let threads: Int
  /// Every option with its value, as it stands in the journal.
  public let json: JSONValue

  /// Checks options and fills in the preset's defaults.
  /// - Parameters:
  ///   - given: a JSON object, or `.null` for all defaults.
  ///   - models: names of the models, in order.
  /// - Throws: `.unknownName`, `.invalidOption`.
  public init(_ given: JSONValue, models: [String]) throws(DFMergeError) {
    let isPaper = given["preset"]?.stringValue == "paper"
    let values = try OptionValues(
      given, schema: SearchOptions.schema, owner: "the search", models: models,
      overrides: isPaper ? SearchOptions.paper : [:])
    try SearchOptions.refuseInert(given, values)
    isPaperPreset = isPaper
    trials = try values.integer("trials")
    initial = try values.integer("initial")
    seed = UInt64(try values.integer("seed"))
    bounds = try values.intervalPerModel("bounds")
    acquisition = values.word("acquisition") ?? "log_nei"
    xi = try values.number("xi")
    kappa = try values.number("kappa")
    isInformed = try values.flag("informed")
    fisherMode = FisherMode(rawValue: values.word("fisher") ?? "") ?? .none
    nodes = try values.integer("nodes")
    fisherPosition = try values.number("fisher_position")
    // Without Fisher values the exponent has nothing to act on, and searching it would waste
    // trials.
    exponent =
      fisherMode == .none
      ? 0 : (values.word("exponent") == "search" ? nil : try values.number("exponent"))
    epsilon = try values.number("epsilon")
    tasks = values.names("tasks")
    guard !tasks.isEmpty else {
      throw DFMergeError(
        .invalidOption, "Option 'tasks' of the search is empty; name one task or more.",
        context: ["option": "tasks"])
    }
    let weights = (values.values["task_weights"]?.objectValue ?? [:]).compactMapValues(
      \.doubleValue)
    objective = try Objective(
      tasks: tasks,
      aggregate: Objective.Aggregate(rawValue: values.word("aggregate") ?? "") ?? .mean,
      weights: weights)
    bestByPosteriorMean = values.word("best_by") == "posterior_mean"
    threads = try values.integer("threads")
    var kept = values.values
    kept["threads"] = nil
    json = .object(kept)
  }

  /// An option that would change nothing is a misunderstanding, and silence would hide it.
  private static func refuseInert(
    _ given: JSONValue, _ values: OptionValues
  ) throws(DFMergeError) {
    let fisher = values.word("fisher") ?? ""
    let acquisition = values.word("acquisition") ?? ""
    let rules: [(option: String, acts: Bool, needs: String)] = [
      ("nodes", fisher == "interpolated", "fisher 'interpolated'"),
      (
        "fisher_position", fisher == "interpolated" || fisher == "dynamic",
        "fisher 'interpolated' or 'dynamic'"
      ),
      ("exponent", fisher != "none" || given["exponent"]?.doubleValue == 0, "Fisher values"),
      ("epsilon", fisher != "none", "Fisher values"),
      ("kappa", acquisition == "ucb", "acquisition 'ucb'"),
      ("xi", acquisition == "ei" || acquisition == "log_ei", "acquisition 'ei' or 'log_ei'"),
    ]
    for rule in rules where given[rule.option] != nil && !rule.acts {
      throw DFMergeError(
        .invalidOption,
        "Option '\(rule.option)' of the search is given but has no effect here: it needs "
          + "\(rule.needs). Leave it out, or change the other option.",
        context: ["option": rule.option])
    }
  }

  /// Where a model's Fisher is measured for coefficient c: c + position (1 - c).
  func fisherPlace(for coefficient: Double) -> Double {
    // Exact at the ends: position 0 is the paper's own place.
    fisherPosition == 0 ? coefficient : coefficient + fisherPosition * (1 - coefficient)
  }

  /// Number of dimensions that are searched: one per model, and one for a searched exponent.
  public var dimension: Int { bounds.count + (exponent == nil ? 1 : 0) }
}
