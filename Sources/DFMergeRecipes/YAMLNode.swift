/// A value of a YAML text and where it stands.
struct YAMLNode: Sendable {
  indirect enum Value: Sendable {
    /// What is written there; `isPlain` without quotation marks.
    case scalar(String, isPlain: Bool)
    case sequence([YAMLNode])
    case mapping([Member])
  }

  struct Member: Sendable {
    let key: String
    /// Of the key.
    let line: Int
    let value: YAMLNode
  }

  let value: Value
  /// Counts from 1.
  let line: Int

  /// Whether nothing is written there, or `null`.
  var isNull: Bool {
    guard case .scalar(let text, isPlain: true) = value else { return false }
    return ["", "~", "null", "Null", "NULL"].contains(text)
  }

  /// The text of a scalar, whichever way it is written; nil for null.
  var text: String? {
    guard case .scalar(let text, _) = value, !isNull else { return nil }
    return text
  }

  /// The truth value of a plain scalar, by the words of YAML 1.1, which mergekit's reader knows.
  var bool: Bool? {
    guard case .scalar(let text, isPlain: true) = value else { return nil }
    switch text.lowercased() {
    case "true", "yes", "on": return true
    case "false", "no", "off": return false
    default: return nil
    }
  }

  /// The number that a scalar means as mergekit reads it: `true` is 1, `"0.5"` is 0.5. Nil for what
  /// is no finite decimal number; `010` is one to some readers and eight to others.
  var number: Double? {
    guard case .scalar(let text, _) = value else { return nil }
    if let bool { return bool ? 1 : 0 }
    let digits = text.drop { $0 == " " }
    let end = digits.lastIndex { $0 != " " }.map { digits.index(after: $0) } ?? digits.startIndex
    let number = digits[..<end]
    let unsigned = number.drop { $0 == "-" || $0 == "+" }
    let isOctal = unsigned.count > 1 && unsigned.first == "0" && unsigned.allSatisfy(\.isNumber)
    // Swift also reads hexadecimal, nan and inf.
    guard !isOctal, number.utf8.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }) else {
      return nil
    }
    return Double(number).flatMap { $0.isFinite ? $0 : nil }
  }

  var items: [YAMLNode]? { if case .sequence(let items) = value { items } else { nil } }
  var members: [Member]? { if case .mapping(let members) = value { members } else { nil } }

  /// The value of a mapping's key; nil where it is missing or null.
  subscript(key: String) -> YAMLNode? {
    guard let found = members?.first(where: { $0.key == key })?.value, !found.isNull else {
      return nil
    }
    return found
  }

  /// What is there, for messages: `"abc"`, `a list`.
  var shown: String {
    switch value {
    case .scalar(let text, _):
      isNull ? "empty" : "\"\(text.count > 60 ? String(text.prefix(57)) + "..." : text)\""
    case .sequence: "a list"
    case .mapping: "a mapping"
    }
  }
}
