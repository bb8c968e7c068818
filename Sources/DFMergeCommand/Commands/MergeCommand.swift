import ArgumentParser
import DFMergeCore
import DFMergeEngine
import DFMergeRecipes

/// `dfmerge merge`: files to files.
struct MergeCommand: ReportingCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract: "Merge models into a folder or a file.",
    usage: """
      dfmerge merge <config> <out> [--setting <name=value> ...] [--steps <folder>]
      dfmerge merge <out> --method <method> [--base <path>] --model <[name=]path> ...
      """,
    discussion: """
      <config> is a YAML file of mergekit, or the dfmerge_recipe.json beside an earlier result. \
      <out> is a .safetensors file, or for any other path a Hugging Face folder with the base's \
      configuration and tokenizer. Weights that are there are replaced once the new ones are \
      complete.
      """)

  @Argument(
    help: ArgumentHelp(
      "The configuration, if there is one, and where to write.", valueName: "paths"))
  var paths: [String] = []

  @OptionGroup var arguments: MergeArguments

  @Option(
    help: ArgumentHelp(
      "Keep the results of a configuration's earlier merges here, by name; without it they are "
        + "taken away.", valueName: "folder"))
  var steps: String?

  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard (1...2).contains(paths.count) else {
      throw ValidationError("Give where to write, and before it a configuration if there is one.")
    }
    try arguments.check(config: paths.count == 2 ? paths[0] : nil)
  }

  func execute(_ console: Console) throws(DFMergeError) -> Int32 {
    let config = paths.count == 2 ? paths[0] : nil
    let out = paths[paths.count - 1]
    let recipe = try arguments.recipe(config: config)
    var runner = RecipeRunner(recipe: recipe, out: out, steps: steps, console: console)
    let reports = try runner.run()
    try console.emit(
      json: [
        "out": .string(out), "steps": .array(reports.map(\.json)),
        "notes": .array(runner.notes.map(JSONValue.string)),
      ], text: reports.map(\.text).joined(separator: "\n"))
    return 0
  }
}
