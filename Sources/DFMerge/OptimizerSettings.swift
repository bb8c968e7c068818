import DFMergeBO
import DFMergeCore

/// The options of the optimiser, which a search and a ``Study`` share: their schema entries, what
/// the presets set, and the optimiser that they make.
struct OptimizerSettings: Sendable {
  /// How long to go on, and what each number means, in the order in which they are listed.
  static let schema: [OptionSchema] = [
    OptionSchema(
      "preset", .choice(["default", "paper"]), default: .string("default"),
      "Defaults for the other options: ours, or the paper's exactly."),
    OptionSchema(
      "trials", .integer(1...1_000_000), default: .int(60),
      "Number of evaluations in all; with subset_share in units of whole evaluations."),
    OptionSchema(
      "initial", .integer(1...1_000_000), default: .int(8),
      "How many of the trials are chosen before the model of the scores is used; points that are "
        + "named (informed, queued, observed) count."),
    OptionSchema(
      "seed", .integer(0...Int(UInt32.max)), default: .int(0), "Seed of every random choice."),
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
      "tasks", .names, default: .array([.string("score")]),
      "Names of the tasks, in the order in which the evaluation reports their scores."),
    OptionSchema(
      "aggregate", .choice(Objective.Aggregate.allCases.map(\.rawValue)), default: .string("mean"),
      "How the tasks' scores become one number."),
    OptionSchema(
      "task_weights", .numberPerTask(0...1e6), default: .object([:]),
      "Weight of each task, for aggregate weighted."),
    OptionSchema(
      "floors", .numberPerTask(-1e300...1e300), default: .object([:]),
      "The lowest acceptable score of some tasks, by name; a trial below one is never the best "
        + "while another is not."),
    OptionSchema(
      "modelling", .choice(["automatic", "tasks", "aggregate"]), default: .string("automatic"),
      "Whether each task's score has a model of its own or only the aggregate has one; automatic "
        + "is what measured better."),
    OptionSchema(
      "input_warping", .flag, default: .bool(false),
      "Let the model learn a monotone map of each coordinate, for scores that react to it at one "
        + "end more than at the other."),
    OptionSchema(
      "subset_share", .number(0...1), default: .null,
      "Cost of a first evaluation on a fixed subset, as a share of a whole one: lets the scores of "
        + "the subset be told first."),
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
    OptionSchema(
      "target", .number(-1e300...1e300), default: .null,
      "Stop once a trial within the floors has reached this score."),
    OptionSchema(
      "max_seconds", .number(0...1e9), default: .null,
      "Stop after this much wall time, counted anew when a journal is continued."),
    OptionSchema(
      "stop_improvement", .number(0...1e300), default: .double(0),
      "Stop once the largest expected improvement, in score units, is below this for two results "
        + "in a row; 0 is off."),
  ]

  /// What `preset: "paper"` sets (arXiv 2504.18992, authors' code).
  static let paper: [String: JSONValue] = [
    "initial": .int(10), "acquisition": .string("ei"), "xi": .double(0.01),
    "best_by": .string("observed"), "modelling": .string("aggregate"),
  ]

  /// Options that change neither a suggestion nor what is known: a journal may be continued with
  /// others.
  static let free: Set<String> = [
    "trials", "target", "max_seconds", "stop_improvement", "best_by",
  ]

  let isPaperPreset: Bool
  let trials: Int
  let initial: Int
  let seed: UInt64
  let acquisition: String
  let xi: Double
  let kappa: Double
  let objective: Objective
  /// nil for what measured better.
  let modelling: OptimizerOptions.Modelling?
  let subsetShare: Double?
  /// nil where it is not known.
  let examples: Int?
  let hasFreshExamples: Bool
  let warpsInputs: Bool
  let bestByPosteriorMean: Bool
  let target: Double?
  let maxSeconds: Double?
  /// 0 for no such rule.
  let stopImprovement: Double

  /// Reads checked values.
  /// - Parameters:
  ///   - given: what the caller set, to tell it from defaults.
  ///   - owner: whose options these are, for messages ("the search").
  /// - Throws: `.invalidOption` for tasks, weights and floors that do not fit together, and for an
  ///   option that would change nothing.
  init(_ values: OptionValues, given: JSONValue, owner: String) throws(DFMergeError) {
    isPaperPreset = values.word("preset") == "paper"
    trials = try values.integer("trials")
    initial = try values.integer("initial")
    seed = UInt64(try values.integer("seed"))
    acquisition = values.word("acquisition") ?? "log_nei"
    xi = try values.number("xi")
    kappa = try values.number("kappa")
    modelling = values.word("modelling").flatMap(OptimizerOptions.Modelling.init)
    subsetShare = values.values["subset_share"]?.doubleValue
    if let subsetShare, !(subsetShare > 0 && subsetShare < 1) {
      throw DFMergeError(
        .invalidOption,
        "Option 'subset_share' of \(owner) is \(subsetShare); it takes a number above 0 and below "
          + "1.", context: ["option": "subset_share"])
    }
    let count = try values.integer("examples")
    examples = count > 0 ? count : nil
    hasFreshExamples = try values.flag("fresh_examples")
    warpsInputs = try values.flag("input_warping")
    bestByPosteriorMean = values.word("best_by") == "posterior_mean"
    target = values.values["target"]?.doubleValue
    maxSeconds = values.values["max_seconds"]?.doubleValue
    stopImprovement = try values.number("stop_improvement")
    let tasks = values.names("tasks")
    guard !tasks.isEmpty else {
      throw DFMergeError(
        .invalidOption, "Option 'tasks' of \(owner) is empty; name one task or more.",
        context: ["option": "tasks"])
    }
    func perTask(_ option: String) -> [String: Double] {
      (values.values[option]?.objectValue ?? [:]).compactMapValues(\.doubleValue)
    }
    objective = try Objective(
      tasks: tasks,
      aggregate: Objective.Aggregate(rawValue: values.word("aggregate") ?? "") ?? .mean,
      weights: perTask("task_weights"), floors: perTask("floors"))
    try OptimizerSettings.refuseInert(
      [
        ("kappa", acquisition == "ucb", "acquisition 'ucb'"),
        (
          "modelling", tasks.count > 1 || given["modelling"]?.stringValue == "automatic",
          "more than one task"
        ),
        ("xi", acquisition == "ei" || acquisition == "log_ei", "acquisition 'ei' or 'log_ei'"),
        ("input_warping", !isPaperPreset || !warpsInputs, "preset 'default'"),
        ("examples", !isPaperPreset || count == 0, "preset 'default'"),
        ("fresh_examples", count > 0 || !hasFreshExamples, "examples, their number"),
      ], given: given, owner: owner)
  }

  /// An option that would change nothing is a misunderstanding, and silence would hide it.
  static func refuseInert(
    _ rules: [(option: String, acts: Bool, needs: String)], given: JSONValue, owner: String
  ) throws(DFMergeError) {
    for rule in rules where given[rule.option] != nil && !rule.acts {
      throw DFMergeError(
        .invalidOption,
        "Option '\(rule.option)' of \(owner) is given but has no effect here: it needs "
          + "\(rule.needs). Leave it out, or change the other option.",
        context: ["option": rule.option])
    }
  }

  /// The optimiser's options; `informed` are points of the unit cube to start with.
  func optimizerOptions(informed: [[Double]]) -> OptimizerOptions {
    var options = isPaperPreset ? OptimizerOptions.paper : OptimizerOptions.default
    options.seed = seed
    options.initial = initial
    options.informed = informed
    options.modelling = modelling ?? options.modelling
    options.subsetShare = subsetShare
    options.examples = examples
    options.freshExamples = hasFreshExamples
    options.inputWarping = warpsInputs
    options.acquisition =
      switch acquisition {
      case "ei": .expectedImprovement(xi: xi)
      case "log_ei": .logExpectedImprovement(xi: xi)
      case "ucb": .upperConfidenceBound(kappa: kappa)
      default: OptimizerOptions.default.acquisition
      }
    return options
  }
}
