import ArgumentParser
import DFMerge
import DFMergeCore
import DFMergeMethods
import DFMergeRecipes

/// `dfmerge search`: a method's options by Bayesian optimisation, scored by a command.
struct SearchCommand: ReportingCommand {
  static let configuration = CommandConfiguration(
    commandName: "search",
    abstract: "Search a method's coefficients and options, with a command of yours as the score.",
    usage: """
      dfmerge search <config> <out> --coefficient <low,high> ... -- <command> ...
      dfmerge search <out> --method <method> --base <path> --model <[name=]path> ... \
      --coefficient <low,high> ... -- <command> ...
      dfmerge search <out> --strategy greedy_soup --model <[name=]path> ... -- <command> ...
      """,
    discussion: """
      Every trial merges the models with the options that Bayesian optimisation suggests and runs the \
      command, with {model} in its arguments standing for the candidate (without it, the candidate is \
      the last argument). Its output, or the last line of that, is {"score": x}, or with --task \
      {"scores": {"task": x, ...}}; larger is better. A command that fails is a failed trial. The best \
      candidate is merged into <out>. Every step is in a journal: the same command continues a search \
      that was stopped. With --strategy greedy_soup every model is scored alone, and joins the average \
      of those before it, from the best on, where that scores strictly higher.
      """)

  // Two single ones, because a list of any length would leave nothing for the command.
  @Argument(
    help: ArgumentHelp("The configuration, or where to write without one.", valueName: "config"))
  var first: String

  @Argument(help: ArgumentHelp("Where to write, with a configuration.", valueName: "out"))
  var second: String?

  @Argument(parsing: .postTerminator, help: "The command that scores a candidate, behind '--'.")
  var command: [String] = []

  @OptionGroup(title: "Merge") var arguments: MergeArguments

  @Option(
    help: ArgumentHelp(
      "How candidates are chosen: bayesian, or greedy_soup, which averages the models that help and "
        + "takes up to 2 M - 1 evaluations of M models.", valueName: "bayesian|greedy_soup"))
  var strategy: SearchStrategy = .bayesian

  @Option(
    name: .customLong("coefficient"),
    help: ArgumentHelp(
      "Search the method's coefficient (or weight) of every model in this interval; repeated, of each "
        + "in its own.", valueName: "low,high"))
  var coefficients: [Interval] = []

  @Option(
    help: ArgumentHelp(
      "Search an option: for all models as density=0.1,0.9, for one as density.NAME=0.1,0.9, for each "
        + "on its own as 'density.*=0.1,0.9'.", valueName: "option=low,high"))
  var space: [SpaceArgument] = []

  @Option(help: "Number of evaluations; 60 by default, and what a greedy soup takes for one.")
  var trials: Int?
  @Option(help: "Seed of every random choice; 0 by default.") var seed: Int?

  @Option(name: .customLong("task"), help: "A task that the command scores, repeated for each.")
  var tasks: [String] = []

  @Option(help: "Stop after this much wall time.") var maxSeconds: Double?
  @Option(help: "Stop once a trial has reached this score.") var target: Double?
  @Option(help: "Stop a command after this much time; its trial has failed.") var trialSeconds:
    Double?

  @Option(help: "Stop after so many failed trials in a row; 0 for never.") var failures = 5

  @Option(
    name: .customLong("study"),
    help: ArgumentHelp(
      "Another option of the optimiser, such as aggregate=minimum, floors={\"a\":0.6} or initial=12.",
      valueName: "name=value"))
  var studyOptions: [Assignment] = []

  @Option(
    help: ArgumentHelp(
      "Where the journal, the candidate and the commands' standard error are; <out>.search by "
        + "default.", valueName: "folder"))
  var work: String?

  @OptionGroup var output: OutputOptions

  private var config: String? { second == nil ? nil : first }
  var out: String { second ?? first }
  /// The method that need not be named.
  private var usual: String? { strategy == .greedySoup ? "average" : nil }

  func validate() throws {
    try arguments.check(config: config, usual: usual)
    guard !command.isEmpty else {
      throw ValidationError("Give the command that scores a candidate, behind '--'.")
    }
    guard failures >= 0 else { throw ValidationError("--failures takes a number of 0 or more.") }
    guard trialSeconds.map({ $0 > 0 }) ?? true else {
      throw ValidationError("--trial-seconds takes a number above 0.")
    }
    let own = [
      ("trials", trials != nil), ("seed", seed != nil), ("tasks", !tasks.isEmpty),
      ("max_seconds", maxSeconds != nil), ("target", target != nil), ("parameters", true),
    ]
    for (name, _) in try Assignment.object(studyOptions, option: "--study") {
      if own.contains(where: { $0.0 == name && $0.1 }) {
        throw ValidationError(
          "--study \(name) says what another option says already; leave it out.")
      }
    }
    if strategy == .greedySoup { try checkSoup() }
  }

  func execute(_ console: Console) throws(DFMergeError) -> Int32 {
    let recipe = try arguments.recipe(config: config, usual: usual)
    guard let step = recipe.steps.last, recipe.steps.count == 1 else {
      throw DFMergeError(
        .unsupported,
        "\(config ?? "The configuration") has \(recipe.steps.count) merges that build on each other; "
          + "make the earlier ones first with 'dfmerge merge', and search over the last.")
    }
    for note in recipe.notes { console.note(note) }
    if strategy == .greedySoup { return try makeSoup(step, console) }
    guard let info = MethodRegistry.infos.first(where: { $0.id == step.method }) else {
      throw DFMergeError(
        .unknownName,
        "There is no method '\(step.method)'; there are: "
          + MethodRegistry.infos.map(\.id).joined(separator: ", ") + ".",
        context: ["method": step.method])
    }
    try SearchCommand.checkFisher(info, step)
    let space = try OptionSpace(
      method: info, coefficients: coefficients, space: space, fixed: step.options,
      models: step.models.map(\.label))
    let cabinet = WeightsCabinet()
    // Options, files and shapes are right, or nothing is begun.
    var first = step
    first.options = space.options(
      at: space.parameters.map { ($0.interval.low + $0.interval.high) / 2 })
    let folder = try prepared(first, as: try description(step, cabinet), cabinet, console)
    let study = try continued(options(space), folder, console)
    // What the merge is without a search is worth knowing.
    if study.trials.isEmpty, let usual = space.usualValues { try study.enqueue([usual]) }
    let search = OptionSearch(
      candidate: { values in
        var candidate = step
        candidate.options = space.options(at: values)
        return candidate
      }, soup: nil, command: ScoreCommand(words: command, limit: trialSeconds),
      folder: folder, mostFailures: failures, study: study, cabinet: cabinet, console: console)
    let reason = try search.run()
    let best = try study.best()
    let report = try search.finish(best.trial.values, at: out)
    var json = try study.resultJSON().objectValue ?? [:]
    json["out"] = .string(out)
    json["work"] = .string(folder.path)
    json["merge"] = report.json
    json["recipe"] = .object([
      "method": .string(step.method), "options": .object(space.options(at: best.trial.values)),
    ])
    try console.emit(
      json: .object(json), text: text(study, best, reason: reason, folder: folder))
    return 0
  }

  /// Sees that options, files and shapes are right, or nothing is begun, and takes the search's folder.
  /// - Parameters:
  ///   - step: a candidate's merge.
  ///   - description: what the folder is of.
  func prepared(
    _ step: MergeStep, as description: [String: JSONValue], _ cabinet: WeightsCabinet,
    _ console: Console
  ) throws(DFMergeError) -> SearchFolder {
    let plan = try cabinet.merge(step).plan(to: .none)
    guard plan.isPossible else {
      throw DFMergeError(
        .invalidArgument,
        "The models cannot be merged: \(plan.problems.prefix(20).joined(separator: "; ")). "
          + plan.remedies.joined(separator: " "))
    }
    for note in cabinet.notes { console.note(note) }
    let folder = try SearchFolder(work ?? SearchCommand.trimmed(out) + ".search", out: out)
    try folder.claim(description)
    return folder
  }

  /// The study in a folder, new or where it was.
  func continued(
    _ options: [String: JSONValue], _ folder: SearchFolder, _ console: Console
  ) throws(DFMergeError) -> Study {
    let study = try Study(options: .object(options), journal: folder.journal)
    for warning in study.warnings { console.warn(warning) }
    let told = study.trials.count(where: \.isTold)
    if told > 0 { console.note("continuing \(folder.path) after \(told) trials") }
    return study
  }

  /// Fisher values come from gradients, which no printed score has.
  private static func checkFisher(_ info: MethodInfo, _ step: MergeStep) throws(DFMergeError) {
    guard info.needsFisher, step.fishers.isEmpty else { return }
    guard info.id == "df_merge" else {
      throw DFMergeError(
        .unsupported,
        "Method '\(info.id)' needs Fisher values of every model, which are measured with gradients "
          + "(dfmerge.torch); give one file for each with --fisher, and its other options are "
          + "searched.", context: ["method": info.id])
    }
    throw DFMergeError(
      .unsupported,
      "Method '\(info.id)' weighs parameters by Fisher values, which are measured with gradients at "
        + "every candidate; a command that prints a score cannot do that. Search it in Python "
        + "(dfmerge.Search), give fixed values with --fisher for each model, or search "
        + "'task_arithmetic', which it is with equal Fisher values.",
      context: ["method": info.id])
  }

  /// The options of the study that the command line names.
  var givenOptions: [String: JSONValue] {
    var options = Dictionary(studyOptions.map { ($0.name, $0.value) }) { _, last in last }
    options["trials"] = trials.map { JSONValue($0) } ?? options["trials"]
    options["seed"] = seed.map { JSONValue($0) } ?? options["seed"]
    options["max_seconds"] = maxSeconds.map { JSONValue($0) } ?? options["max_seconds"]
    options["target"] = target.map { JSONValue($0) } ?? options["target"]
    if !tasks.isEmpty { options["tasks"] = JSONValue(tasks) }
    return options
  }

  private func options(_ space: OptionSpace) -> [String: JSONValue] {
    var options = givenOptions
    options["parameters"] = .array(space.parameters.map(\.json))
    if space.isOfCoefficients, options["informed"] == nil { options["informed"] = true }
    return options
  }

  /// What a journal is of, beside the parameters that it names itself.
  func description(
    _ step: MergeStep, _ cabinet: WeightsCabinet
  ) throws(DFMergeError) -> [String: JSONValue] {
    var members = step.json.objectValue ?? [:]
    // Neither changes a candidate.
    var settings = step.settings
    for name in ["threads", "max_memory"] { settings[name] = nil }
    members["settings"] = .object(settings)
    members["fingerprints"] = .array(try cabinet.fingerprints(step))
    return members
  }

  private func text(
    _ study: Study, _ best: Study.Best, reason: Study.StopReason?, folder: SearchFolder
  ) -> String {
    var table = TextTable(["parameter", "best", "from", "to"], numeric: [1, 2, 3])
    for (index, name) in study.options.names.enumerated() {
      let range = study.options.bounds[index]
      table.add([
        name, Figures.short(best.trial.values[index]), Figures.short(range.lowerBound),
        Figures.short(range.upperBound),
      ])
    }
    return table.text + "\n\n"
      + ending(study, best.trial, isBelow: best.violation > 0, reason: reason, folder)
  }

  /// What is said below the table: the best trial, how the search ended, and where everything is.
  func ending(
    _ study: Study, _ best: StudyTrial, isBelow: Bool, reason: Study.StopReason?,
    _ folder: SearchFolder
  ) -> String {
    let told = study.trials.filter(\.isTold)
    let failed = told.count { $0.state == .failed }
    let tasks = study.options.objective.tasks
    let scores = zip(tasks, best.scores?.values ?? []).map { "\($0) \(Figures.short($1))" }
    return [
      "trial \(best.number + 1): score \(Figures.short(best.value))"
        + (tasks.count > 1 ? " (\(scores.joined(separator: ", ")))" : "")
        + (isBelow ? ", below a floor" : ""),
      "\(told.count) trials" + (failed > 0 ? ", \(failed) of them failed" : "")
        + "; ended by \(SearchCommand.words(reason))",
      "\(out) has the merge; the journal is \(folder.journal)",
    ].joined(separator: "\n")
  }

  private static func words(_ reason: Study.StopReason?) -> String {
    switch reason {
    case nil: "having tried every model"
    case .trials: "the number of trials"
    case .time: "--max-seconds"
    case .target: "--target"
    case .improvement: "stop_improvement"
    }
  }

  private static func trimmed(_ path: String) -> String {
    var text = path[...]
    while text.count > 1, text.hasSuffix("/") { text = text.dropLast() }
    return String(text)
  }
}
