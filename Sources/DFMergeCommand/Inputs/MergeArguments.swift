import ArgumentParser
import DFMergeCore
import DFMergeRecipes

/// What to merge: a file that says so, or method, base and models one by one.
struct MergeArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp("The method, one of 'dfmerge methods'.", valueName: "method"))
  var method: String?

  @Option(help: ArgumentHelp("The pretrained model.", valueName: "path"))
  var base: String?

  @Option(
    name: .customLong("model"),
    help: ArgumentHelp(
      "A fine-tuned model, repeated for each; options by model may use its name.",
      valueName: "[name=]path"))
  var models: [NamedPath] = []

  @Option(
    name: [.customLong("fisher"), .customLong("gram")],
    help: ArgumentHelp(
      "What comes with a model, one file for each in the models' order, for methods that need it: "
        + "diagonal Fisher values or Gram matrices.", valueName: "path"))
  var fishers: [String] = []

  @Option(
    name: .customLong("option"),
    help: ArgumentHelp(
      "An option of the method, such as density=0.3 or weights=[1,0.5]; 'dfmerge methods NAME' lists "
        + "them.", valueName: "name=value"))
  var options: [Assignment] = []

  @Option(
    name: .customLong("setting"),
    help: ArgumentHelp(
      "A setting of the merge: threads, max_memory=1GB, dtype=BF16, missing, extra, shape, "
        + "non_finite, max_shard_size, copy_files.", valueName: "name=value"))
  var settings: [Assignment] = []

  /// - Parameters:
  ///   - config: the file that describes the merge, where there is one.
  ///   - usual: the method without `--method`; nil where it has to be said.
  /// - Throws: `ValidationError` for arguments that do not go together.
  func check(config: String?, usual: String? = nil) throws {
    _ = try Assignment.object(options, option: "--option")
    _ = try Assignment.object(settings, option: "--setting")
    if let config {
      let given: [(String, Bool)] = [
        ("--method", method != nil), ("--base", base != nil), ("--model", !models.isEmpty),
        ("--fisher", !fishers.isEmpty), ("--option", !options.isEmpty),
      ]
      for (name, isGiven) in given where isGiven {
        throw ValidationError(
          "\(name) and the file \(config) both say what to merge; leave one of them out.")
      }
    } else {
      guard method ?? usual != nil else {
        throw ValidationError(
          "Nothing says what to merge: give a configuration file, or --method and --model.")
      }
      guard !models.isEmpty else { throw ValidationError("Give one --model or more.") }
      for (index, model) in models.enumerated()
      where models[..<index].contains(where: { $0.name == model.name }) {
        throw ValidationError("Two models are called '\(model.name)'; give each its own name.")
      }
    }
  }

  /// The merge that was asked for, settings of the command line over those of the file.
  func recipe(config: String?, usual: String? = nil) throws(DFMergeError) -> MergeRecipe {
    let chosen = members(settings)
    if let config {
      let recipe = try MergeRecipe.read(config)
      return MergeRecipe(
        steps: recipe.steps.map { step in
          var step = step
          step.settings.merge(chosen) { _, new in new }
          return step
        }, notes: recipe.notes)
    }
    return MergeRecipe(steps: [
      MergeStep(
        method: method ?? usual ?? "", options: members(options), settings: chosen,
        base: base.map { ModelPlace.input($0, label: $0) },
        models: models.map { ModelPlace.input($0.path, label: $0.name) },
        fishers: fishers.map { ModelPlace.input($0, label: $0) })
    ])
  }

  private func members(_ list: [Assignment]) -> [String: JSONValue] {
    Dictionary(list.map { ($0.name, $0.value) }) { _, last in last }
  }
}
