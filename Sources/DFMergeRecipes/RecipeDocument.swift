import DFMergeCore

/// Our own recipe, `dfmerge_recipe.json`: what a merge into a folder leaves beside the weights, or
/// what somebody writes by hand.
///
/// Members: `format` ("dfmerge.recipe"), `format_version` (1), `method` and `models` are needed;
/// `options`, `base`, `fishers`, `dtype` and `policies` (further settings of the merge) are not.
/// A checkpoint is `{"path", "label", "fingerprint"}`, of which `path` is needed, or a path alone.
enum RecipeDocument {
  private static let members = [
    "format", "format_version", "library_version", "method", "options", "base", "models", "fishers",
    "dtype", "policies", "seed", "figures", "ties",
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
    for name in found.keys.sorted() where !members.contains(name) {
      throw failure(
        "there is no member '\(name)'; there are: \(members.joined(separator: ", "))", .unknownName)
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
    return MergeRecipe(steps: [step])
  }
}
