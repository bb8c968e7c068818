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

  public let isPaperPreset: Bool
  public let trials: Int
  /// Wall time of a run after which no trial begins; nil for no limit.
  public let maxSeconds: Double?
  /// The score at which the search ends; nil for none.
  public let target: Double?
  /// Expected improvement below which the search ends; 0 is off.
  public let stopImprovement: Double
  public let initial: Int
  public let seed: UInt64
  /// One interval per model.
  public let bounds: [ClosedRange<Double>]
  public let acquisition: String
  public let xi: Double
  public let kappa: Double
  public let isInformed: Bool
  /// Whether each model alone is among the first trials.
  public let hasSingles: Bool
  /// Candidates, observations and groups as they were given; a search reads them once it knows its
  /// tensors.
  let enqueue: JSONValue
  let observations: JSONValue
  let groups: JSONValue
  /// "automatic", "tasks" or "aggregate".
  public let modelling: String
  /// Cost of an evaluation on the subset as a share of a whole one; nil without a first stage.
  public let subsetShare: Double?
  /// Number of examples behind each task's score; nil where it is not known.
  public let examples: Int?
  /// Whether each evaluation draws its examples anew.
  public let hasFreshExamples: Bool
  /// Whether the model of the scores learns a monotone map of each coordinate.
  public let warpsInputs: Bool
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
    hasSingles = try values.flag("singles")
    enqueue = values.values["enqueue"] ?? .null
    observations = values.values["observations"] ?? .null
    groups = values.values["groups"] ?? .null
    modelling = values.word("modelling") ?? "automatic"
    maxSeconds = try SearchOptions.optional("max_seconds", values, above: 0)
    target = try SearchOptions.optional("target", values)
    stopImprovement = try values.number("stop_improvement")
    subsetShare = try SearchOptions.optional("subset_share", values, above: 0, below: 1)
    let examples = try values.integer("examples")
    self.examples = examples > 0 ? examples : nil
    hasFreshExamples = try values.flag("fresh_examples")
    warpsInputs = try values.flag("input_warping")
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
    func numbers(_ name: String) -> [String: Double] {
      (values.values[name]?.objectValue ?? [:]).compactMapValues(\.doubleValue)
    }
    objective = try Objective(
      tasks: tasks,
      aggregate: Objective.Aggregate(rawValue: values.word("aggregate") ?? "") ?? .mean,
      weights: numbers("task_weights"), floors: numbers("floors"))
    bestByPosteriorMean = values.word("best_by") == "posterior_mean"
    threads = try values.integer("threads")
    var kept = values.values
    kept["threads"] = nil
    json = .object(kept)
  }

  /// The number of an option that may have none, within open ends.
  private static func optional(
    _ name: String, _ values: OptionValues, above low: Double = -.infinity,
    below high: Double = .infinity
  ) throws(DFMergeError) -> Double? {
    guard let value = values.values[name]?.doubleValue else { return nil }
    guard value > low, value < high else {
      let end = high.isFinite ? "above \(low) and below \(high)" : "above \(low)"
      throw DFMergeError(
        .invalidOption, "Option '\(name)' of the search is \(value); it takes a number \(end).",
        context: ["option": name])
    }
    return value
  }

  /// Where a model's Fisher is measured for coefficient c: c + position (1 - c).
  func fisherPlace(for coefficient: Double) -> Double {
    // Exact at the ends: position 0 is the paper's own place.
    fisherPosition == 0 ? coefficient : coefficient + fisherPosition * (1 - coefficient)
  }
}
