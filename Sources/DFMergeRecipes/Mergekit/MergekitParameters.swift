import DFMergeCore

/// The `parameters:` of a model, a slice or a whole configuration, by name.
struct MergekitParameters: Sendable {
  private(set) var settings: [String: ParameterSetting] = [:]
  /// Their names, in the order of the file.
  private(set) var names: [String] = []

  init() {}

  init(_ node: YAMLNode?, place: RecipeFileName) throws(DFMergeError) {
    guard let node else { return }
    guard let members = node.members else {
      throw place(node.line).invalid(
        "'parameters' is \(node.shown); it takes names and values, such as 'weight: 0.5'")
    }
    for member in members {
      // Every parameter is a number, also those that are true or false.
      settings[member.key] = try ParameterSetting(member.value, name: member.key, place: place)
      names.append(member.key)
    }
  }

  subscript(name: String) -> ParameterSetting? { settings[name] }
}
