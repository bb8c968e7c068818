import DFMergeCore
import Yams

/// Reads YAML texts from strangers: every document as ``YAMLNode``s, with bounds on size, nesting
/// and what aliases expand to.
///
/// Aliases and merge keys (`<<`) are resolved, as in mergekit's reader. Refused are keys that stand
/// twice, keys that are no scalars, and tags beyond those of YAML's core.
struct YAMLReader {
  /// The most bytes of a text. mergekit's longest configurations have a thousandth of it.
  static let longestText = 1 << 20
  /// The most levels of lists and mappings.
  static let deepestNesting = 64
  /// The most values of all documents, aliases counted as often as they are used.
  static let mostNodes = 100_000

  let file: String
  private var nodeCount = 0

  init(file: String) { self.file = file }

  /// The documents of a text; those that are empty are left out.
  /// - Throws: `.invalidFormat` for what is no YAML or beyond the bounds.
  mutating func documents(of text: String) throws(DFMergeError) -> [YAMLNode] {
    guard text.utf8.count <= YAMLReader.longestText else {
      throw DFMergeError(
        .invalidFormat,
        "\(file) has \(text.utf8.count) bytes; a configuration has at most "
          + "\(YAMLReader.longestText). Pass the file that describes the merge.",
        context: ["path": file])
    }
    // A mark of byte order at the beginning is no part of the text.
    let text =
      text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
    // Before the reader sees it, which compares keys as a whole, expanded.
    if let line = AliasExpansion.excess(in: text, limit: YAMLReader.mostNodes) {
      throw failure(line, "aliases (*name) expand to too much; write the values out")
    }
    var documents: [YAMLNode] = []
    do {
      var roots = try Yams.compose_all(yaml: text)
      while let root = roots.next() {
        let node = try convert(root, depth: 0)
        if !node.isNull { documents.append(node) }
      }
      if let error = roots.error { throw error }
    } catch {
      throw (error as? DFMergeError) ?? described(error)
    }
    return documents
  }

  private mutating func convert(_ node: Node, depth: Int) throws(DFMergeError) -> YAMLNode {
    let line = node.mark?.line ?? 1
    guard depth <= YAMLReader.deepestNesting else {
      throw failure(
        line,
        "lists and mappings are nested more than \(YAMLReader.deepestNesting) levels deep; "
          + "no configuration is")
    }
    nodeCount += 1
    guard nodeCount <= YAMLReader.mostNodes else {
      throw failure(line, "the file has more than \(YAMLReader.mostNodes) values")
    }
    switch node {
    case .scalar(let scalar):
      try checkTag(scalar.tag, line)
      return YAMLNode(
        value: .scalar(scalar.string, isPlain: scalar.style == .plain), line: line)
    case .sequence(let sequence):
      try checkTag(sequence.tag, line)
      var items: [YAMLNode] = []
      for item in sequence { items.append(try convert(item, depth: depth + 1)) }
      return YAMLNode(value: .sequence(items), line: line)
    case .mapping(let mapping):
      try checkTag(mapping.tag, line)
      return YAMLNode(value: .mapping(try members(of: mapping, depth: depth)), line: line)
    case .alias:
      throw failure(line, "an alias was not resolved; write the value out")
    }
  }

  private mutating func members(
    of mapping: Node.Mapping, depth: Int
  ) throws(DFMergeError) -> [YAMLNode.Member] {
    var own: [YAMLNode.Member] = []
    var merged: [YAMLNode.Member] = []
    for (key, value) in mapping {
      let line = key.mark?.line ?? 1
      guard case .scalar(let scalar) = key else {
        throw failure(line, "a key is no plain text; write a name before the colon")
      }
      let converted = try convert(value, depth: depth + 1)
      guard scalar.string == "<<", scalar.style == .plain else {
        own.append(YAMLNode.Member(key: scalar.string, line: line, value: converted))
        continue
      }
      let sources = converted.items ?? [converted]
      for source in sources {
        guard let members = source.members else {
          throw failure(line, "'<<' takes a mapping or a list of them, not \(source.shown)")
        }
        merged += members
      }
    }
    // The mapping's own keys win, then the first of those that are merged in.
    var known = Set(own.map(\.key))
    for member in merged where known.insert(member.key).inserted { own.append(member) }
    return own
  }

  /// A tag such as `!!python/object` asks its reader to make something of a program's own.
  private func checkTag(_ tag: Tag, _ line: Int) throws(DFMergeError) {
    let name = tag.description
    let core =
      ["", "?", "!"]
      + ["str", "int", "float", "bool", "null", "seq", "map"].map {
        "tag:yaml.org,2002:" + $0
      }
    guard core.contains(name) else {
      throw failure(line, "the tag '\(name)' is not supported; take it out")
    }
  }

  private func described(_ error: any Error) -> DFMergeError {
    guard let error = error as? YamlError else { return failure(1, "\(error)") }
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      return failure(mark.line, "this is no YAML: \(problem) at column \(mark.column)")
    case .duplicatedKeysInMapping(let duplicates, let context):
      return failure(
        context.mark.line,
        "the key '\(duplicates.first ?? "")' stands here and once more in one mapping; keep one")
    case .reader(let problem, _, _, _):
      return failure(1, "this is no YAML: \(problem)")
    default: return failure(1, "this is no YAML: \(error)")
    }
  }

  private func failure(_ line: Int, _ problem: String) -> DFMergeError {
    DFMergeError(
      .invalidFormat, "\(file):\(line): \(problem).",
      context: ["path": file, "line": String(line)])
  }
}
