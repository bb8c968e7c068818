import DFMergeBO
import DFMergeCore

extension SearchOptions {
  /// Every option with type, range, default and meaning.
  public static let schema: [OptionSchema] =
    [
      OptionSchema(
        "preset", .choice(["default", "paper"]), default: .string("default"),
        "Defaults for the other options: ours, or the paper's exactly.")
    ] + budget + start + optimiser + merging + scores + [
      OptionSchema(
        "threads", .integer(0...4096), default: .int(0),
        "Threads of a merge; 0 is one per available core. Changes no result.")
    ]

  /// When the search ends.
  private static let budget: [OptionSchema] = [
    OptionSchema(
      "trials", .integer(1...1_000_000), default: .int(60),
      "Number of evaluations in all; with subset_share in units of whole evaluations."),
    OptionSchema(
      "max_seconds", .number(0...1e9), default: .null,
      "No trial begins after this much wall time of a run; a resumed run has it anew."),
    OptionSchema(
      "target", .number(-Double.infinity...Double.infinity), default: .null,
      "The search ends when a trial reaches this score within the floors."),
    OptionSchema(
      "stop_improvement", .number(0...Double.infinity), default: .double(0),
      "The search ends when the largest expected improvement stays below this, in score units, "
        + "before two trials in a row; 0 is off."),
  ]

  /// What is tried first, and what is known before.
  private static let start: [OptionSchema] = [
    OptionSchema(
      "initial", .integer(1...1_000_000), default: .int(10),
      "How many of the trials are chosen before the model of the scores is used."),
    OptionSchema(
      "seed", .integer(0...Int(UInt32.max)), default: .int(0), "Seed of every random choice."),
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

  private static let optimiser: [OptionSchema] = [
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
    OptionSchema(
      "acquisition", .choice(["log_nei", "log_ei", "ei", "ucb"]), default: .string("log_nei"),
      "Which acquisition function chooses the next point."),
    OptionSchema(
      "xi", .number(0...1e6), default: .double(0),
      "ei and log_ei: improvement asked for, in score units."),
    OptionSchema(
      "kappa", .number(0...1e6), default: .double(2.576),
      "ucb: standard deviations above the mean."),
    OptionSchema(
      "modelling", .choice(["automatic", "tasks", "aggregate"]), default: .string("automatic"),
      "Whether each task's score has a model of its own or only the aggregate has one; automatic, "
        + "what measured better, is tasks for aggregate minimum and aggregate otherwise."),
    OptionSchema(
      "input_warping", .flag, default: .bool(false),
      "Let the model learn a monotone map of each coordinate, for scores that react to it at one "
        + "end more than at the other."),
  ]

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

  private static let scores: [OptionSchema] = [
    OptionSchema(
      "tasks", .names, default: .array([.string("score")]),
      "Names of the tasks, in the order in which the evaluation reports their scores."),
    OptionSchema(
      "aggregate", .choice(Objective.Aggregate.allCases.map(\.rawValue)), default: .string("mean"),
      "How the tasks' scores become one number."),
    OptionSchema(
      "task_weights", .numberPerTask(0...1e6), default: .object([:]),
      "Weight of each task, for aggregate weighted."),
    OptionSchema(
      "floors", .numberPerTask(-Double.infinity...Double.infinity), default: .object([:]),
      "The lowest acceptable score of some tasks: the best trial is the best of those that keep "
        + "all floors, while there is one."),
    OptionSchema(
      "subset_share", .number(0...1), default: .null,
      "Cost of a first evaluation on a fixed subset, as a share of a whole one: each candidate is "
        + "scored on the subset first, and wholly only where that is worth it."),
    OptionSchema(
      "examples", .integer(0...1_000_000_000), default: .int(0),
      "Number of examples behind each task's score, 0 where it is not known: a score told without "
        + "a variance has at least the noise of its steps of 1/examples."),
    OptionSchema(
      "fresh_examples", .flag, default: .bool(false),
      "Every evaluation draws its examples anew: scores are in [0, 1] and have the binomial noise "
        + "of so many examples."),
    OptionSchema(
      "best_by", .choice(["observed", "posterior_mean"]), default: .string("posterior_mean"),
      "Final choice among the evaluated points: the best score, or the best posterior mean."),
  ]

  /// What `preset: "paper"` sets (arXiv 2504.18992, authors' code).
  static let paper: [String: JSONValue] = [
    "acquisition": .string("ei"), "xi": .double(0.01), "informed": .bool(false),
    "fisher": .string("dynamic"), "fisher_position": .double(0), "exponent": .double(1),
    "best_by": .string("observed"), "modelling": .string("aggregate"),
  ]

  /// The schema as a JSON array, for the bindings.
  public static var schemaJSON: JSONValue { .array(schema.map(\.json)) }

  /// An option that would change nothing is a misunderstanding, and silence would hide it.
  static func refuseInert(_ given: JSONValue, _ values: OptionValues) throws(DFMergeError) {
    let fisher = values.word("fisher") ?? ""
    let acquisition = values.word("acquisition") ?? ""
    let tasks = values.names("tasks")
    let isPaper = values.word("preset") == "paper"
    let examples = try values.integer("examples")
    let searchesExponent = fisher != "none" && values.word("exponent") == "search"
    let hasExponentZero =
      searchesExponent || fisher == "none" || values.values["exponent"]?.doubleValue == 0
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
      (
        "input_warping", !isPaper || given["input_warping"]?.boolValue == false,
        "preset 'default'"
      ),
      ("examples", !isPaper || examples == 0, "preset 'default'"),
      (
        "fresh_examples", examples > 0 || given["fresh_examples"]?.boolValue == false,
        "examples, their number"
      ),
      (
        "singles", hasExponentZero || given["singles"]?.boolValue == false,
        "an exponent that is searched or 0, for only exponent 0 gives a model alone"
      ),
      (
        "modelling", tasks.count > 1 || given["modelling"]?.stringValue == "automatic",
        "more than one task"
      ),
    ]
    for rule in rules where given[rule.option] != nil && !rule.acts {
      throw DFMergeError(
        .invalidOption,
        "Option '\(rule.option)' of the search is given but has no effect here: it needs "
          + "\(rule.needs). Leave it out, or change the other option.",
        context: ["option": rule.option])
    }
  }
}
