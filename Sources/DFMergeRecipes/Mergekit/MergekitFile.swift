import DFMergeCore

/// Reads a file of mergekit: one configuration, or several that use each other's results by name.
enum MergekitFile {
  /// - Parameters:
  ///   - text: the file's contents.
  ///   - file: its name, for messages.
  /// - Throws: `.invalidFormat`, `.unsupported`, `.unknownName`, naming file, line and key.
  static func recipe(_ text: String, file: String) throws(DFMergeError) -> MergeRecipe {
    let place = RecipeFileName(file: file)
    var reader = YAMLReader(file: file)
    let documents = try reader.documents(of: text)
    guard !documents.isEmpty else {
      throw place(1).invalid(
        "the file is empty; a configuration has keys: 'merge_method', 'models', ...")
    }
    var configurations: [MergekitConfiguration] = []
    var steps: [MergeStep] = []
    var notes: [String] = []
    for document in documents {
      let configuration = try MergekitConfiguration(document, place: place)
      let translation = try MergekitTranslation(configuration, place: place)
      configurations.append(configuration)
      steps.append(try translation.step())
      notes += translation.notes
    }
    return MergeRecipe(
      steps: try ordered(steps, lines: configurations.map(\.line), place: place), notes: notes)
  }

  /// The steps, each behind those whose results it uses; names become references to them.
  private static func ordered(
    _ given: [MergeStep], lines: [Int], place: RecipeFileName
  ) throws(DFMergeError) -> [MergeStep] {
    let names = given.map(\.name)
    for (index, name) in names.enumerated() {
      if names[..<index].contains(name) {
        throw place(lines[index]).invalid(
          name.map { "two documents are called '\($0)'; give each its own name" }
            ?? "two documents have no 'name'; only the last merge goes without one")
      }
    }
    var steps = given
    for index in steps.indices {
      func resolved(_ input: MergeInput) -> MergeInput {
        guard case .path(let path, revision: nil) = input.place, names.contains(path) else {
          return input
        }
        return MergeInput(label: input.label, place: .step(path))
      }
      steps[index].base = steps[index].base.map(resolved)
      steps[index].models = steps[index].models.map(resolved)
    }
    // The one that makes the result: the nameless one, or else the last in the file.
    let last = names.firstIndex(of: nil) ?? steps.count - 1
    var order: [Int] = []
    var open: [Int] = []
    /// Puts a step behind those that it uses. As deep as there are documents at most.
    func visit(_ index: Int) throws(DFMergeError) {
      if order.contains(index) { return }
      guard !open.contains(index) else {
        throw place(lines[index]).invalid(
          "the documents use each other's results in a circle: "
            + open.compactMap { names[$0] }.joined(separator: ", ") + "; break it")
      }
      open.append(index)
      for name in steps[index].usedSteps {
        if let used = names.firstIndex(of: name) { try visit(used) }
      }
      open.removeLast()
      order.append(index)
    }
    try visit(last)
    if let unused = steps.indices.first(where: { !order.contains($0) }) {
      throw place(lines[unused]).invalid(
        "the merge '\(names[unused] ?? "")' is not used by the last one; use it, or take it out")
    }
    return order.map { steps[$0] }
  }
}

extension MergeStep {
  /// Names of the steps whose results go in.
  package var usedSteps: [String] {
    ((base.map { [$0] } ?? []) + models + fishers).compactMap { input in
      if case .step(let name) = input.place { name } else { nil }
    }
  }
}
