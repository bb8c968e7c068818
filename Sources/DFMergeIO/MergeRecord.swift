import DFMergeCore

/// What a merge was made of: the source of the recipe and the model card beside its weights.
package struct MergeRecord: Sendable {
  /// A checkpoint that went in.
  package struct Input: Sendable {
    /// The name by which options and messages call it.
    package let label: String
    /// Its path as it was given; nil for tensors from memory.
    package let path: String?
    /// nil for tensors from memory.
    package let fingerprint: InputFingerprint?

    /// The merge before this one that made it, by name; nil where none did.
    package let step: String?

    package init(
      label: String, path: String?, fingerprint: InputFingerprint?, step: String? = nil
    ) {
      self.label = label
      self.path = path
      self.fingerprint = fingerprint
      self.step = step
    }

    /// What a published text calls it.
    var publicName: String { PublicName.of(path: path ?? label) }

    var json: JSONValue {
      var members: [String: JSONValue] = [
        "label": .string(label), "path": path.map(JSONValue.string) ?? .null,
        "fingerprint": fingerprint?.json ?? .null,
      ]
      members["step"] = step.map(JSONValue.string)
      return .object(members)
    }
  }

  /// The id, title and formula of the method's `MethodInfo`.
  package let method: String
  package let title: String
  package let formula: String
  /// Every option of the method with its value, defaults filled in.
  package let options: [String: JSONValue]
  package let base: Input?
  /// In the order of the merge.
  package let models: [Input]
  /// The Fisher values, one set per model; empty for methods that take none.
  package let fishers: [Input]
  /// The dtype that was asked for; nil when every tensor keeps the base's own.
  package let dtype: DType?
  /// What was asked for beside the method: mismatch policies, `non_finite`, shard size.
  package let policies: [String: JSONValue]
  /// Of methods that draw random numbers.
  package let seed: UInt64?
  /// What the method found, by name; known once the weights are written.
  package var figures: [String: Double] = [:]
  /// The recipes of the merges whose results went in, in their order, each with its `name`.
  package var steps: [JSONValue] = []
  /// Tensors of the result that have the values of another one: its name, by theirs.
  package var ties: [String: String] = [:]

  package init(
    method: String, title: String, formula: String, options: [String: JSONValue], base: Input?,
    models: [Input], fishers: [Input] = [], dtype: DType?, policies: [String: JSONValue],
    seed: UInt64?
  ) {
    self.method = method
    self.title = title
    self.formula = formula
    self.options = options
    self.base = base
    self.models = models
    self.fishers = fishers
    self.dtype = dtype
    self.policies = policies
    self.seed = seed
  }

  /// The name of the recipe's file.
  package static let recipeName = "dfmerge_recipe.json"
  /// The name of the card's file.
  package static let cardName = "README.md"

  /// The merge as JSON text, indented: `format`, `format_version` (1), `library_version`, `method`,
  /// `options`, `base`, `models`, `fishers`, `dtype`, `policies`, `seed`, `figures`; where there are
  /// some, `steps`, the merges whose results went in, and `ties`. Members without a value are null.
  /// Paths stand as they were given; look at them before you publish the file.
  /// - Throws: `.nonFinite` for an option that is no number.
  package func recipe() throws(DFMergeError) -> [UInt8] {
    var members: [(String, JSONValue)] = [
      ("format", .string("dfmerge.recipe")), ("format_version", .int(1)),
      ("library_version", .string(DFMergeVersion.string)), ("method", .string(method)),
      ("options", .object(options)), ("base", base?.json ?? .null),
      ("models", .array(models.map(\.json))), ("fishers", .array(fishers.map(\.json))),
      ("dtype", dtype.map { .string($0.name) } ?? .null), ("policies", .object(policies)),
      // A number of 64 bits does not survive every reader of JSON; a text does.
      ("seed", seed.map { .string(String($0)) } ?? .null),
      ("figures", .object(figures.mapValues(MergeRecord.number))),
    ]
    if !steps.isEmpty { members.append(("steps", .array(steps))) }
    if !ties.isEmpty {
      members.append(("ties", .object(ties.mapValues(JSONValue.string))))
    }
    return Array((try MergeRecord.indented(members, depth: 0) + "\n").utf8)
  }

  /// A number as JSON, a whole one without a point: what reads it may take whole numbers only.
  package static func number(_ value: Double) -> JSONValue {
    guard let whole = Int64(exactly: value) else { return .double(value) }
    return .int(whole)
  }

  /// An object as JSON text of several lines, keys sorted.
  /// - Throws: `.nonFinite` for a number that JSON cannot say.
  package static func text(of members: [String: JSONValue]) throws(DFMergeError) -> [UInt8] {
    Array((try indented(.object(members), depth: 0) + "\n").utf8)
  }

  private static func indented(
    _ members: [(String, JSONValue)], depth: Int
  ) throws(DFMergeError) -> String {
    guard !members.isEmpty else { return "{}" }
    var lines: [String] = []
    for (key, value) in members {
      lines.append("\(StrictJSON.string(key)): \(try indented(value, depth: depth + 1))")
    }
    return enclosed(lines, "{", "}", depth: depth)
  }

  private static func indented(_ value: JSONValue, depth: Int) throws(DFMergeError) -> String {
    switch value {
    case .object(let members):
      let sorted = members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
      return try indented(sorted.map { ($0.key, $0.value) }, depth: depth)
    case .array(let items) where items.contains { $0.objectValue != nil || $0.arrayValue != nil }:
      var lines: [String] = []
      for item in items { lines.append(try indented(item, depth: depth + 1)) }
      return enclosed(lines, "[", "]", depth: depth)
    default: return try value.text()
    }
  }

  private static func enclosed(
    _ lines: [String], _ open: String, _ close: String, depth: Int
  ) -> String {
    let indent = String(repeating: "  ", count: depth)
    return "\(open)\n"
      + lines.map { "\(indent)  \($0)" }.joined(separator: ",\n") + "\n\(indent)\(close)"
  }
}
