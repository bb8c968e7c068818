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

  /// How candidates are chosen.
  public enum Strategy: String, Sendable, CaseIterable {
    /// By Bayesian optimisation.
    case bayesian
    /// Each model alone first; then, from the best to the worst, each joins the average of those
    /// before it where that scores strictly higher (Wortsman et al. 2022, arXiv 2203.05482). Takes
    /// up to 2 M - 1 evaluations of M models. See ``Soup`` for the rules.
    case greedySoup = "greedy_soup"
  }

  public let strategy: Strategy
  /// The options of the optimiser.
  let settings: OptimizerSettings
  /// One interval per model.
  public let bounds: [ClosedRange<Double>]
  public let isInformed: Bool
  /// Whether each model alone is among the first trials.
  public let hasSingles: Bool
  /// Candidates, observations and groups as they were given; a search reads them once it knows its
  /// tensors.
  let enqueue: JSONValue
  let observations: JSONValue
  let groups: JSONValue
  /// The id of the method whose options are searched; `ownMethod` is DF-Merge.
  public let method: String
  /// The method's options that are searched, with their ranges, and those that are fixed.
  let space: JSONValue
  let methodOptions: JSONValue
  public let fisherMode: FisherMode
  /// Where between the scaled model (0) and the fine-tuned model (1) a Fisher is measured.
  public let fisherPosition: Double
  public let nodes: Int
  /// The fixed exponent; nil when it is searched.
  public let exponent: Double?
  public let epsilon: Double
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
    let isSoup = given["strategy"]?.stringValue == Strategy.greedySoup.rawValue
    var overrides = isPaper ? SearchOptions.paper : [:]
    if isSoup { overrides = SearchOptions.soup(models.count) }
    let isOwn = (given["method"]?.stringValue ?? SearchOptions.ownMethod) == SearchOptions.ownMethod
    // No other method has its Fisher values measured.
    if !isOwn { overrides["fisher"] = .string(FisherMode.none.rawValue) }
    let values = try OptionValues(
      given, schema: SearchOptions.schema, owner: "the search", models: models,
      overrides: overrides)
    strategy = isSoup ? .greedySoup : .bayesian
    if isSoup { try SearchOptions.refuseBesideSoup(given) }
    settings = try OptimizerSettings(values, given: given, owner: "the search")
    guard settings.maxSeconds != 0 else {
      throw DFMergeError(
        .invalidOption,
        "Option 'max_seconds' of the search is 0, which leaves time for no trial; it takes a number "
          + "above 0.", context: ["option": "max_seconds"])
    }
    if !isSoup { try SearchOptions.refuseInert(given, values) }
    method = values.word("method") ?? SearchOptions.ownMethod
    space = values.values["space"] ?? .null
    methodOptions = values.values["method_options"] ?? .null
    for (name, value) in [("space", space), ("method_options", methodOptions)]
    where value != .null && value.objectValue == nil {
      throw DFMergeError(
        .invalidOption, "Option '\(name)' of the search is no object by option of the method.",
        context: ["option": name])
    }
    bounds = try values.intervalPerModel("bounds")
    isInformed = try values.flag("informed")
    hasSingles = try values.flag("singles")
    enqueue = values.values["enqueue"] ?? .null
    observations = values.values["observations"] ?? .null
    groups = values.values["groups"] ?? .null
    fisherMode = FisherMode(rawValue: values.word("fisher") ?? "") ?? .none
    nodes = try values.integer("nodes")
    fisherPosition = try values.number("fisher_position")
    // Without Fisher values the exponent has nothing to act on, and searching it would waste
    // trials.
    exponent =
      fisherMode == .none
      ? 0 : (values.word("exponent") == "search" ? nil : try values.number("exponent"))
    epsilon = try values.number("epsilon")
    threads = try values.integer("threads")
    var kept = values.values
    kept["threads"] = nil
    // What does not act would only be misread.
    if isSoup { kept = kept.filter { SearchOptions.soupOptions.contains($0.key) } }
    json = .object(kept)
  }

  /// DF-Merge, whose coefficients a search looks for by default.
  public static let ownMethod = "df_merge"

  /// What a user can do about a candidate that is not finite, beside mending the models.
  var nonFiniteRemedy: String {
    if strategy == .greedySoup { return "or leave out the model that has them" }
    return method == SearchOptions.ownMethod
      ? "or narrow the bounds of the coefficients" : "or narrow the intervals in space"
  }

  public var isPaperPreset: Bool { settings.isPaperPreset }
  public var trials: Int { settings.trials }
  /// Wall time of a run after which no trial begins; nil for no limit.
  public var maxSeconds: Double? { settings.maxSeconds }
  /// The score at which the search ends; nil for none.
  public var target: Double? { settings.target }
  /// Expected improvement below which the search ends; 0 is off.
  public var stopImprovement: Double { settings.stopImprovement }
  public var initial: Int { settings.initial }
  public var seed: UInt64 { settings.seed }
  public var acquisition: String { settings.acquisition }
  public var xi: Double { settings.xi }
  /// Cost of an evaluation on the subset as a share of a whole one; nil without a first stage.
  public var subsetShare: Double? { settings.subsetShare }
  public var objective: Objective { settings.objective }
  public var tasks: [String] { settings.objective.tasks }
  public var bestByPosteriorMean: Bool { settings.bestByPosteriorMean }

  /// Where a model's Fisher is measured for coefficient c: c + position (1 - c).
  func fisherPlace(for coefficient: Double) -> Double {
    // Exact at the ends: position 0 is the paper's own place.
    fisherPosition == 0 ? coefficient : coefficient + fisherPosition * (1 - coefficient)
  }
}
