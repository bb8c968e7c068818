import DFMergeCore

/// The groups of tensors that have coefficients of their own.
///
/// Definition: each merged tensor belongs to the first group with a pattern that its name matches;
/// those that none matches form the last group, "rest". Without the option all tensors are one
/// group.
/// Patterns: `*` stands for any run of characters, dots included, `?` for one character; everything
/// else for itself. The whole name has to match.
/// Layers: `"layers:K"` numbers a tensor by the first part of its name that is a whole number
/// (parts end at `.`, `/`, `_` and `-`), and cuts the L distinct numbers, in order, into K runs
/// whose lengths differ by one at most: the i-th number, from 0, is in run floor(i K / L).
public struct SearchGroups: Sendable {
  /// One group.
  public struct Group: Sendable {
    public let name: String
    /// What its tensors' names match; empty for "rest" and for groups by layer number.
    public let patterns: [String]
    /// Names of its tensors, in the target's order.
    public internal(set) var tensors: [String] = []
    /// Number of elements of its tensors.
    public internal(set) var elements = 0
  }

  /// In order; the group of all tensors has the name "all".
  public let groups: [Group]
  /// The group of each merged tensor, in the target's order.
  let assignment: [Int]

  public var count: Int { groups.count }
  public var names: [String] { groups.map(\.name) }

  /// What the tensors are called that no pattern matches.
  static let rest = "rest"

  /// - Parameters:
  ///   - option: `.null`; `"layers:K"`; a list of `{"name": ..., "pattern": ...}` (or `patterns`, a
  ///     list); or an object from name to a pattern or a list of them, which is tried in the order
  ///     of the names.
  ///   - tensors: names and element counts of the merged tensors.
  /// - Throws: `.invalidOption` for another form, a name twice or empty or "rest", a group without
  ///   a tensor, more layer groups than layers.
  init(
    _ option: JSONValue, tensors: [(name: String, elements: Int)]
  ) throws(DFMergeError) {
    var groups: [Group]
    var assignment: [Int?]
    switch option {
    case .null:
      groups = [Group(name: "all", patterns: [])]
      assignment = tensors.map { _ in 0 }
    case .string(let text):
      (groups, assignment) = try SearchGroups.layers(text, tensors.map(\.name))
    default:
      let wanted = try SearchGroups.parse(option)
      groups = wanted
      assignment = tensors.map { tensor in
        wanted.firstIndex { $0.patterns.contains { TensorName.matches(tensor.name, $0) } }
      }
    }
    if assignment.contains(nil) {
      groups.append(Group(name: SearchGroups.rest, patterns: []))
    }
    let last = groups.count - 1
    self.assignment = assignment.map { $0 ?? last }
    for (tensor, group) in zip(tensors, self.assignment) {
      groups[group].tensors.append(tensor.name)
      groups[group].elements += tensor.elements
    }
    if let empty = groups.first(where: { $0.tensors.isEmpty }) {
      throw SearchGroups.refusal(
        "has the group '\(empty.name)', which no tensor is left for; correct its patterns "
          + "(\(empty.patterns.joined(separator: ", "))) or leave it out")
    }
    self.groups = groups
  }

  // MARK: Forms of the option

  private static func parse(_ option: JSONValue) throws(DFMergeError) -> [Group] {
    var found: [Group] = []
    func add(_ name: String?, _ patterns: JSONValue?) throws(DFMergeError) {
      let list = patterns?.stringValue.map { [$0] } ?? patterns?.arrayValue?.map(\.stringValue)
      let texts = (list ?? []).compactMap { $0 }
      guard let name, let list, texts.count == list.count, !texts.isEmpty else {
        throw refusal("needs a name and one pattern or more for each group")
      }
      guard !name.isEmpty, name != rest, !found.contains(where: { $0.name == name }) else {
        throw refusal(
          "calls a group '\(name)'; give each its own name, '\(rest)' being that of the tensors "
            + "that no pattern matches")
      }
      found.append(Group(name: name, patterns: texts))
    }
    switch option {
    case .array(let items):
      for item in items {
        let known: Set = ["name", "pattern", "patterns"]
        guard let keys = item.objectValue?.keys, known.isSuperset(of: keys), keys.count == 2 else {
          throw refusal("is a list with something else than {\"name\": ..., \"pattern\": ...}")
        }
        try add(item["name"]?.stringValue, item["pattern"] ?? item["patterns"])
      }
    case .object(let members):
      for name in members.keys.sorted() { try add(name, members[name]) }
    default: throw refusal("takes \"layers:K\", a list of groups or an object of patterns by name")
    }
    guard !found.isEmpty else { throw refusal("is empty; name one group or more") }
    return found
  }

  private static func layers(
    _ text: String, _ names: [String]
  ) throws(DFMergeError) -> ([Group], [Int?]) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, parts[0] == "layers", let count = Int(parts[1]), count > 0 else {
      throw refusal("is \"\(text)\"; the text takes the form \"layers:4\"")
    }
    let numbers = names.map { TensorName.layer(of: $0)?.number }
    let distinct = Set(numbers.compactMap { $0 }).sorted()
    guard count <= distinct.count else {
      throw refusal(
        "asks for \(count) groups of layers, but the merged tensors' names hold "
          + "\(distinct.count) layer number\(distinct.count == 1 ? "" : "s"); ask for at most as "
          + "many, or give patterns")
    }
    var groupOf: [Int: Int] = [:]
    var runs: [[Int]] = Array(repeating: [], count: count)
    for (index, number) in distinct.enumerated() {
      let group = index * count / distinct.count
      groupOf[number] = group
      runs[group].append(number)
    }
    let groups = runs.map { run in
      let ends = [run.first, run.last].compactMap { $0 }.map(String.init)
      return Group(
        name: run.count == 1 ? "layer \(ends[0])" : "layers " + ends.joined(separator: "-"),
        patterns: [])
    }
    return (groups, numbers.map { number in number.flatMap { groupOf[$0] } })
  }

  private static func refusal(_ message: String) -> DFMergeError {
    DFMergeError(
      .invalidOption, "Option 'groups' of the search \(message).", context: ["option": "groups"])
  }
}

extension SearchGroups {
  /// The groups as they stand in a result: name, patterns, number of tensors and of elements.
  var json: JSONValue {
    .array(
      groups.map {
        .object([
          "name": .string($0.name), "patterns": .array($0.patterns.map(JSONValue.string)),
          "tensors": .int(Int64($0.tensors.count)), "elements": .int(Int64($0.elements)),
        ])
      })
  }

  /// One value per parameter and group, parameter by parameter, as an object: by parameter, and
  /// within one by group where there are several.
  func named(_ values: [Double], parameters: [String]) -> JSONValue {
    var members: [String: JSONValue] = [:]
    for (index, name) in parameters.enumerated() {
      let own = values.dropFirst(index * count).prefix(count).map(JSONValue.double)
      guard own.count == count else { continue }
      members[name] =
        count == 1 ? own[0] : .object(Dictionary(zip(names, own)) { first, _ in first })
    }
    return .object(members)
  }
}
