/// What `rank_pattern` or `alpha_pattern` of a peft adapter says of its modules: keys are the ends of
/// names from a dot on, or whole names after a `^`. Keys with more of a regular expression in them are
/// not followed.
///
/// Made once and asked for every module: an adapter may have thousands of both.
struct AdapterPattern: Sendable {
  enum Match {
    case none
    case value(JSONValue)
    /// A regular expression, or two keys that say different things.
    case unknown
  }

  /// Values by the ends of names, and by whole names.
  private var ends: [String: JSONValue] = [:]
  private var wholes: [String: JSONValue] = [:]
  /// How long the ends are, in bytes, each once.
  private let lengths: [Int]
  /// Whether all keys can be followed.
  private let isPlain: Bool

  /// - Parameter member: the configuration's; what is no object says nothing.
  init(_ member: JSONValue?) {
    var lengths: Set<Int> = []
    var isPlain = true
    for (key, value) in member?.objectValue ?? [:] {
      let isWhole = key.utf8.first == UInt8(ascii: "^")
      let end = isWhole ? String(key.dropFirst()) : key
      isPlain = isPlain && end.utf8.allSatisfy(AdapterPattern.isPlain)
      if isWhole {
        wholes[end] = value
      } else {
        ends[end] = value
        lengths.insert(end.utf8.count)
      }
    }
    self.lengths = Array(lengths)
    self.isPlain = isPlain
  }

  /// What is said of a module.
  func match(_ module: String) -> Match {
    guard isPlain else { return .unknown }
    var found = wholes[module]
    let name = Array(module.utf8)
    for length in lengths where length <= name.count {
      let start = name.count - length
      guard start == 0 || name[start - 1] == UInt8(ascii: "."),
        let value = ends[String(decoding: name[start...], as: UTF8.self)]
      else { continue }
      guard found == nil || found == value else { return .unknown }
      found = value
    }
    return found.map(Match.value) ?? .none
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"),
      UInt8(ascii: "."):
      true
    default: false
    }
  }
}
