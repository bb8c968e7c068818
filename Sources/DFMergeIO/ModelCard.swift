import DFMergeCore

extension MergeRecord {
  /// The model card of the merge: the front matter that the Hugging Face hub reads, and a text.
  ///
  /// `base_model` lists base and models as far as their names are hub ids, for the hub refuses
  /// others; the licence is the base's. No path is shown that leads out of the working folder (see
  /// ``PublicName``).
  /// - Parameters:
  ///   - outputName: what to call the merge.
  ///   - base: the base's folder, for its licence and library; nil where there is none.
  ///   - adapter: the configuration of the result, where it is an adapter.
  /// - Throws: `.nonFinite` for an option that is no number.
  package func card(
    outputName: String, baseFolder: String?, adapter: AdapterConfig? = nil
  ) throws(DFMergeError) -> [UInt8] {
    let what = adapter == nil ? "model" : "adapter"
    let text =
      frontMatter(BaseCard(folder: baseFolder), adapter) + """
        # \(MergeRecord.plain(outputName))

        A merge of \(models.count) \(what)\(models.count == 1 ? "" : "s"), made with DFMerge \
        \(DFMergeVersion.string).

        ## Method

        \(title) (`\(method)`):

            \(formula.split(separator: "\n").joined(separator: "\n    "))

        ## Models

        \(try table())

        """ + (try settings()) + shared + """
        ## How to make it again

        `\(MergeRecord.recipeName)` holds every setting and the fingerprints of the inputs\(earlier).\(unnamed)

        \(steps.isEmpty ? "```python\n\(try program())" : "```console\n\(MergeRecord.command)")
        ```

        """
    return Array(text.utf8)
  }

  /// What makes all merges of a recipe with steps.
  private static let command = "$ dfmerge merge \(recipeName) merged"

  /// The merges whose results went in.
  private var earlier: String {
    guard !steps.isEmpty else { return "" }
    let names = steps.compactMap { $0["name"]?.stringValue }
    let shown = names.map { "`\(MergeRecord.plain($0))`" }.joined(separator: ", ")
    return ", also of the merge\(names.count == 1 ? "" : "s") before this one: \(shown)"
  }

  /// Which tensors are stored more than once.
  private var shared: String {
    guard !ties.isEmpty else { return "" }
    let firsts = Set(ties.values).count
    return """
      ## Shared tensors

      \(ties.count) tensor\(ties.count == 1 ? " has" : "s have") the values of \(firsts) other\
      \(firsts == 1 ? "" : "s"), so that a program may store each of them once: `ties` in \
      `\(MergeRecord.recipeName)` says which, by name.


      """
  }

  /// What to do about inputs that no path names.
  private var unnamed: String {
    let lent = ([base].compactMap { $0 } + models + fishers).filter {
      $0.path == nil && $0.step == nil
    }
    guard !lent.isEmpty else { return "" }
    let names = lent.map { "`\(MergeRecord.plain($0.publicName))`" }.joined(separator: ", ")
    return " These were in memory and stand below by name; put state dicts in their place: "
      + "\(names)."
  }

  private func frontMatter(_ card: BaseCard, _ adapter: AdapterConfig?) -> String {
    if let adapter {
      let base = adapter.baseModel.flatMap { PublicName.isHubID($0) ? $0 : nil }
      let lines =
        (base.map { ["base_model: \($0)", "base_model_relation: adapter"] } ?? [])
        + ["library_name: peft"] + card.licenseLines + ["tags:", "- lora", "- merge", "- dfmerge"]
      return "---\n\(lines.joined(separator: "\n"))\n---\n\n"
    }
    var ids: [String] = []
    for input in [base].compactMap({ $0 }) + models {
      let name = input.publicName
      if PublicName.isHubID(name), !ids.contains(name) { ids.append(name) }
    }
    var lines: [String] = []
    if !ids.isEmpty {
      lines += ["base_model:"] + ids.map { "- \($0)" } + ["base_model_relation: merge"]
    }
    if let library = card.library { lines.append("library_name: \(library)") }
    lines += card.licenseLines + ["tags:", "- merge", "- dfmerge"]
    return "---\n\(lines.joined(separator: "\n"))\n---\n\n"
  }

  /// The options that give every model a value of its own, by name; values in the models' order.
  private var perModel: [(name: String, values: [JSONValue])] {
    options.sorted { $0.key < $1.key }.compactMap { name, value in
      switch value {
      // Texts are a list of names, which may happen to be as many.
      case .array(let values)
      where values.count == models.count && !values.contains { $0.stringValue != nil }:
        (name, values)
      case .object(let members) where Set(members.keys) == Set(models.map(\.label)):
        (name, models.map { members[$0.label] ?? .null })
      default: nil
      }
    }
  }

  private func table() throws(DFMergeError) -> String {
    let columns = perModel
    func row(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |" }
    func name(_ input: Input) -> String {
      let name = input.publicName
      let hasLabel = input.path != nil && PublicName.of(path: input.label) != name
      return "`\(MergeRecord.plain(name))`"
        + (hasLabel ? " (\(MergeRecord.plain(PublicName.of(path: input.label))))" : "")
    }
    var rows = [
      row(["", "model"] + columns.map(\.name)),
      row(Array(repeating: "---", count: columns.count + 2)),
    ]
    if let base { rows.append(row(["base", name(base)] + columns.map { _ in "" })) }
    for (position, model) in models.enumerated() {
      var cells = ["\(position + 1)", name(model)]
      for column in columns { cells.append(MergeRecord.plain(try column.values[position].text())) }
      rows.append(row(cells))
    }
    return rows.joined(separator: "\n")
  }

  /// The settings that are the same for all models.
  private func settings() throws(DFMergeError) -> String {
    let shown = Set(perModel.map(\.name))
    var lines: [String] = []
    for (name, value) in options.sorted(by: { $0.key < $1.key }) where !shown.contains(name) {
      lines.append("- `\(name)`: \(MergeRecord.plain(try value.text()))")
    }
    for (name, value) in policies.sorted(by: { $0.key < $1.key }) {
      lines.append("- `\(name)`: \(MergeRecord.plain(try value.text()))")
    }
    if let dtype { lines.append("- dtype: \(dtype.name)") }
    if let seed { lines.append("- seed: \(seed)") }
    return lines.isEmpty ? "" : "\n## Settings\n\n\(lines.joined(separator: "\n"))\n\n"
  }

  /// Whether somebody has called the models by names, which options such as EMR's task may use.
  private var hasLabels: Bool {
    let labels = models.map { MergeRecord.plain(PublicName.of(path: $0.label)) }
    guard Set(labels).count == models.count else { return false }
    let isCalled = models.contains { model in
      model.path != nil && PublicName.of(path: model.label) != model.publicName
    }
    return isCalled
      || options.values.contains { value in
        value.stringValue.map { name in models.contains { $0.label == name } } ?? false
      }
  }

  private func program() throws(DFMergeError) -> String {
    func text(_ name: String) -> String { StrictJSON.string(MergeRecord.plain(name)) }
    var lines = ["import dfmerge", "", "dfmerge.merge("]
    lines.append("    \(base.map { text($0.publicName) } ?? "None"),")
    let names = models.map { text($0.publicName) }
    if hasLabels {
      let pairs = zip(models, names).map { "\(text(PublicName.of(path: $0.label))): \($1)" }
      lines.append("    {\(pairs.joined(separator: ", "))},")
    } else {
      lines.append("    [\(names.joined(separator: ", "))],")
    }
    lines.append("    method=\(text(method)),")
    if !fishers.isEmpty {
      lines.append("    fishers=[\(fishers.map { text($0.publicName) }.joined(separator: ", "))],")
    }
    // Values by label become lists: a label may be a path.
    let lists = perModel.map { ($0.name, JSONValue.array($0.values)) }
    let given = options.merging(lists) { _, list in list }
    if !given.isEmpty { lines.append("    options=\(try MergeRecord.python(.object(given))),") }
    if let dtype { lines.append("    dtype=\(text(dtype.name)),") }
    for (name, value) in policies.sorted(by: { $0.key < $1.key }) {
      lines.append("    \(name)=\(try MergeRecord.python(value)),")
    }
    return (lines + ["    out=\"merged\",", ")"]).joined(separator: "\n")
  }

  /// A JSON value as Python writes it.
  private static func python(_ value: JSONValue) throws(DFMergeError) -> String {
    switch value {
    case .null: return "None"
    case .bool(let value): return value ? "True" : "False"
    case .array(let items):
      var texts: [String] = []
      for item in items { texts.append(try python(item)) }
      return "[\(texts.joined(separator: ", "))]"
    case .object(let members):
      var texts: [String] = []
      for (key, value) in members.sorted(by: { $0.key < $1.key }) {
        texts.append("\(StrictJSON.string(key)): \(try python(value))")
      }
      return "{\(texts.joined(separator: ", "))}"
    default: return try value.text()
    }
  }

  /// A name inside a line of Markdown: nothing that ends the line, the cell or the code.
  private static func plain(_ text: String) -> String {
    String(
      String.UnicodeScalarView(
        text.unicodeScalars.map { scalar in
          switch scalar {
          case "`": "'"
          case "|": "/"
          case "<", ">": "-"
          case _ where scalar.value < 0x20 || scalar.value == 0x7F: " "
          default: scalar
          }
        }))
  }
}
