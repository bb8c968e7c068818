import DFMergeCore

/// Our own recipe, `dfmerge_recipe.json`: what a merge into a folder leaves beside the weights, or
/// what somebody writes by hand.
///
/// Members: `format` ("dfmerge.recipe"), `format_version` (1), `method` and `models` are needed;
/// `options`, `base`, `fishers`, `dtype` and `policies` (further settings of the merge) are not.
/// A checkpoint is `{"path", "label", "fingerprint"}`, of which `path` is needed, or a path alone.
/// `steps` are merges whose results go into this one, first to last: each has a `name` and the members
/// of a recipe; a checkpoint with `"step": name` is its result.
enum RecipeDocument {
  private static let members = [
    "format", "format_version", "library_version", "method", "options", "base", "models", "fishers",
    "dtype", "policies", "seed", "figures", "steps", "ties",
  ]

  static func recipe(_ text: [UInt8], file: String) throws(DFMergeError) -> MergeRecipe {
    let json = try JSONValue(parsing: text, what: file)
    func failure(
      _ problem: String, _ code: DFMergeError.Code = .invalidFormat
    ) -> DFMergeError {
      DFMergeError(code, "\(file): \(problem).", context: ["path": file])
    }
    guard let found = json.objectValue, found["format"]?.stringValue == "dfmerge.recipe" else {
      throw failure(
        "this is no recipe: 'format' is not \"dfmerge.recipe\"; pass a dfmerge_recipe.json, or a "
          + "configuration of mergekit in a file whose name ends in .yml")
    }
    guard found["format_version"]?.intValue == 1 else {
      throw failure(
        "'format_version' is not 1; the recipe is of a newer dfmerge, use that", .unsupported)
    }
    var steps: [MergeStep] = []
    switch found["steps"] {
    case nil, .null: break
    case .array(let items):
      for item in items {
        guard let members = item.objectValue, let name = members["name"]?.stringValue,
          !steps.contains(where: { $0.name == name })
        else {
          throw failure("a merge of 'steps' has no 'name' of its own; give each one")
        }
        var step = try step(
          members, known: ["name"] + stepMembers, after: steps.compactMap(\.name), file: file)
        step.name = name
        steps.append(step)
      }
    default: throw failure("'steps' is no list; give one, or leave it out")
    }
    steps.append(try step(found, known: members, after: steps.compactMap(\.name), file: file))
    return MergeRecipe(steps: steps)
  }

  /// What a merge of `steps` may have.
  private static var stepMembers: [String] {
    members.filter { !["format", "format_version", "library_version", "steps"].contains($0) }
  }

  /// One merge.
  /// - Parameter names: those of the merges before it.
  private static func step(
    _ found: [String: JSONValue], known: [String], after names: [String], file: String
  ) throws(DFMergeError) -> MergeStep {
    func failure(
      _ problem: String, _ code: DFMergeError.Code = .invalidFormat
    ) -> DFMergeError {
      DFMergeError(code, "\(file): \(problem).", context: ["path": file])
    }
    for name in found.keys.sorted() where !known.contains(name) {
      throw failure(
        "there is no member '\(name)'; there are: \(known.joined(separator: ", "))", .unknownName)
    }
    func object(_ name: String) throws(DFMergeError) -> [String: JSONValue] {
      switch found[name] {
      case nil, .null: return [:]
      case .object(let members): return members
      default: throw failure("'\(name)' is no object; give one, or leave it out")
      }
    }
    func input(_ value: JSONValue, _ role: String) throws(DFMergeError) -> MergeInput {
      if let path = value.stringValue { return MergeInput(path: path) }
      if let name = value["step"]?.stringValue {
        guard names.contains(name) else {
          throw failure(
            "\(role) is made by '\(name)', which is none of the 'steps' before; list it there")
        }
        return MergeInput(label: value["label"]?.stringValue ?? name, place: .step(name))
      }
      guard let path = value["path"]?.stringValue else {
        let label = value["label"]?.stringValue.map { " '\($0)'" } ?? ""
        throw failure(
          "\(role)\(label) has no path, since it was in memory when it was merged; write in 'path' "
            + "where it lies")
      }
      let fingerprint = value["fingerprint"]
      return MergeInput(
        label: value["label"]?.stringValue ?? path, place: .path(path, revision: nil),
        fingerprint: fingerprint == .null ? nil : fingerprint)
    }
    func inputs(_ name: String, _ role: String) throws(DFMergeError) -> [MergeInput] {
      switch found[name] {
      case nil, .null: return []
      case .array(let items):
        return try items.map { (item) throws(DFMergeError) in try input(item, role) }
      default: throw failure("'\(name)' is no list; give one")
      }
    }
    guard let method = found["method"]?.stringValue else {
      throw failure("there is no 'method'; name one, such as \"ties\"")
    }
    let base = found["base"] ?? .null
    var step = MergeStep(
      method: method, options: try object("options"), settings: try object("policies"),
      base: base == .null ? nil : try input(base, "the base"),
      models: try inputs("models", "the model"), fishers: try inputs("fishers", "the Fisher set"))
    if let dtype = found["dtype"], dtype != .null { step.settings["dtype"] = dtype }
    guard !step.models.isEmpty else { throw failure("there are no 'models'; list one or more") }
    return step
  }
}
