import ArgumentParser
import DFMergeCore
import DFMergeEngine
import DFMergeRecipes

/// `dfmerge plan`: what a merge would do, without doing it.
struct PlanCommand: ReportingCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Say what a merge would do: tensors, problems, memory, traffic, time.",
    usage: """
      dfmerge plan <config> [<out>] [--setting <name=value> ...]
      dfmerge plan [<out>] --method <method> [--base <path>] --model <[name=]path> ...
      """,
    discussion: """
      Reads headers only. With --json, every step also says what the configuration became: our \
      method, its options and settings. Exits with 1 where the merge is not possible.
      """)

  @Argument(
    help: ArgumentHelp(
      "The configuration, if there is one, and where to write.", valueName: "paths"))
  var paths: [String] = []

  @OptionGroup var arguments: MergeArguments
  @OptionGroup var output: OutputOptions

  /// With a method the only path is the output, without one it is the configuration.
  private var config: String? { arguments.method == nil ? paths.first : nil }
  private var out: String? { arguments.method == nil ? paths.dropFirst().first : paths.first }

  func validate() throws {
    guard paths.count <= (arguments.method == nil ? 2 : 1) else {
      throw ValidationError(
        "There are too many paths: give a configuration and where to write, or --method and where to "
          + "write.")
    }
    try arguments.check(config: config)
  }

  func execute(_ console: Console) throws(DFMergeError) -> Int32 {
    let recipe = try arguments.recipe(config: config)
    let cabinet = WeightsCabinet()
    var planned: [(step: MergeStep, report: MergePlanReport)] = []
    for (number, step) in recipe.steps.enumerated() {
      let isLast = number == recipe.steps.count - 1
      let merge = try cabinet.merge(step)
      let destination: MergeDestination = (isLast ? out : nil).map { .path($0) } ?? .none
      do throws(DFMergeError) {
        planned.append((step, try merge.plan(to: destination)))
      } catch {
        throw step.located(error)
      }
      if !isLast, let name = step.name {
        let inputs = try cabinet.opened(step)
        guard let reference = inputs.base ?? inputs.models.first else { continue }
        cabinet.keep(
          try PlannedWeights(
            like: reference, models: inputs.models, settings: merge.settings, label: name),
          as: name)
      }
    }
    let notes = recipe.notes + cabinet.notes
    for note in notes { console.note(note) }
    let isPossible = planned.allSatisfy(\.report.isPossible)
    try console.emit(
      json: [
        "possible": .bool(isPossible),
        "steps": .array(
          planned.map { step, report in
            var members = report.json.objectValue ?? [:]
            members["recipe"] = step.json
            return .object(members)
          }),
        "peak_memory": .int(Int64(planned.map(\.report.peakMemory).max() ?? 0)),
        "seconds": .double(planned.compactMap(\.report.seconds).reduce(0, +)),
        "notes": .array(notes.map(JSONValue.string)),
      ],
      text: planned.map { step, report in
        (planned.count > 1 ? "\(step.name ?? "the result"): " : "") + report.description
      }.joined(separator: "\n\n"))
    return isPossible ? 0 : 1
  }
}
