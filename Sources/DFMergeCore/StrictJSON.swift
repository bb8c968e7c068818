import FoundationEssentials

/// Decodes JSON strictly: UTF-8 only, no comma before a closing bracket, no key twice in one
/// object.
///
/// The decoder alone is too kind for texts from strangers: it takes UTF-16 and trailing commas,
/// does not look at values that are not asked for, and keeps one of two equal keys without a word,
/// so that two readers can see two different models in one file. Types decoded here therefore
/// decode the members that they do not know as well (see `checkUnknownMembers`).
package enum StrictJSON {
  /// Decodes `text`.
  /// - Parameters:
  ///   - what: what the text is, for messages: "The header of /models/a.safetensors".
  ///   - remedy: what to do about a text that is not valid, ending the message.
  ///   - context: of the error.
  /// - Throws: `code` with the place of the problem, or with the key that stands twice.
  package static func decode<Value: Decodable>(
    _ type: Value.Type, from text: [UInt8], what: String, remedy: String,
    context: [String: String] = [:], code: DFMergeError.Code
  ) throws(DFMergeError) -> Value {
    func failure(_ fact: String) -> DFMergeError {
      DFMergeError(code, "\(what) is not valid JSON: \(fact); \(remedy).", context: context)
    }
    // A NUL is never JSON, and is how the decoder tells UTF-16 and UTF-32 from UTF-8.
    guard String(validating: text, as: UTF8.self) != nil, !text.contains(0) else {
      throw failure("it is not UTF-8 text")
    }
    guard !isTooDeep(text) else {
      throw failure("its arrays and objects are nested more than \(deepestNesting) levels deep")
    }
    let value: Value
    do {
      value = try JSONDecoder().decode(type, from: Data(text))
    } catch {
      throw failure(loneSurrogate(in: text) ?? describe(error))
    }
    if let fact = laxity(in: text) { throw failure(fact) }
    return value
  }

  /// The most levels of arrays and objects. Decoding takes about 2 KB of stack for each level, and
  /// a text from a stranger must not overflow the stack of a host's thread, which may be small.
  package static let deepestNesting = 64

  /// Whether `text`, which need not be valid, is nested deeper than ``deepestNesting``.
  private static func isTooDeep(_ text: [UInt8]) -> Bool {
    var depth = 0
    var isInString = false
    var isEscaped = false
    for byte in text {
      if isInString {
        isInString = isEscaped || byte != UInt8(ascii: "\"")
        isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
        continue
      }
      switch byte {
      case UInt8(ascii: "\""): isInString = true
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth += 1
        if depth > deepestNesting { return true }
      case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
      default: break
      }
    }
    return false
  }

  /// Decodes, and so checks, the members of an object that are not in `known`.
  package static func checkUnknownMembers(
    _ members: KeyedDecodingContainer<AnyKey>, known: Set<String>
  ) throws {
    for key in members.allKeys where !known.contains(key.stringValue) {
      _ = try members.decode(JSONValue.self, forKey: key)
    }
  }

  /// A key of any object.
  package struct AnyKey: CodingKey, ExpressibleByStringLiteral {
    package let stringValue: String
    package var intValue: Int? { nil }
    package init(stringValue: String) { self.stringValue = stringValue }
    package init(stringLiteral value: String) { stringValue = value }
    package init?(intValue: Int) { nil }
  }

  /// `text` as a JSON string, quotation marks included.
  package static func string(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case "\u{8}": result += "\\b"
      case "\u{C}": result += "\\f"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  /// What the decoder has let pass: a key that stands twice, a comma before a closing bracket; nil
  /// when there is nothing. Apart from that, `text` is valid JSON.
  ///
  /// Keys are compared as Swift strings are, by canonical equivalence: a name written with a
  /// composed and with a decomposed letter counts as one name.
  private static func laxity(in text: [UInt8]) -> String? {
    var open: [Set<String>] = []  // The keys of each object or array that is still open.
    var isAfterComma = false
    var position = 0
    while position < text.count {
      let start = position
      position += 1
      if isSpace(text[start]) { continue }
      let followsComma = isAfterComma
      isAfterComma = text[start] == UInt8(ascii: ",")
      switch text[start] {
      case UInt8(ascii: "{"), UInt8(ascii: "["): open.append([])
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        if followsComma { return "a comma stands before a closing bracket" }
        _ = open.popLast()
      case UInt8(ascii: "\""):
        var hasEscape = false
        while position < text.count, text[position] != UInt8(ascii: "\"") {
          let isEscape = text[position] == UInt8(ascii: "\\")
          hasEscape = hasEscape || isEscape
          position += isEscape ? 2 : 1
        }
        position = min(position + 1, text.count)
        // In valid JSON a string is a key exactly when a colon follows it.
        guard text[position...].first(where: { !isSpace($0) }) == UInt8(ascii: ":") else { break }
        let key = unescaped(text[start..<position], hasEscape: hasEscape)
        guard !open.isEmpty, open[open.count - 1].insert(key).inserted else {
          return "an object has the key '\(key)' twice"
        }
      default: break
      }
    }
    return nil
  }

  /// Half a pair of UTF-16, which Python's texts may hold and no Unicode text; the decoder's own
  /// message is about something else. Nil for none.
  private static func loneSurrogate(in text: [UInt8]) -> String? {
    /// The number after a `\u` at `place`.
    func unit(_ place: Int) -> UInt32? {
      guard place + 6 <= text.count, text[place] == UInt8(ascii: "\\"),
        text[place + 1] == UInt8(ascii: "u")
      else { return nil }
      return UInt32(String(decoding: text[(place + 2)..<(place + 6)], as: UTF8.self), radix: 16)
    }
    var place = 0
    while place < text.count {
      guard text[place] == UInt8(ascii: "\\") else {
        place += 1
        continue
      }
      if let first = unit(place), (0xD800...0xDFFF).contains(first) {
        guard first < 0xDC00, let second = unit(place + 6), (0xDC00...0xDFFF).contains(second)
        else {
          return "a text holds \\u\(String(first, radix: 16)), half of a pair, and so is not valid "
            + "Unicode"
        }
        place += 12
      } else {
        place += 2
      }
    }
    return nil
  }

  private static func unescaped(_ literal: ArraySlice<UInt8>, hasEscape: Bool) -> String {
    if hasEscape, let key = try? JSONDecoder().decode(String.self, from: Data(literal)) {
      return key
    }
    return String(decoding: literal.dropFirst().dropLast(), as: UTF8.self)
  }

  private static func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
  }

  private static func describe(_ error: any Error) -> String {
    guard let error = error as? DecodingError else { return "\(error)" }
    switch error {
    case .keyNotFound(let key, let context):
      return "\(place(context.codingPath))'\(key.stringValue)' is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      return place(context.codingPath) + trimmed(context.debugDescription)
    case .dataCorrupted(let context):
      let cause = context.underlyingError.map { ", \($0)" } ?? ""
      return place(context.codingPath) + trimmed(context.debugDescription) + cause
    @unknown default: return "\(error)"
    }
  }

  private static func place(_ path: [any CodingKey]) -> String {
    guard !path.isEmpty else { return "" }
    let keys = path.map { key in
      key.intValue.map { "[\($0)]" } ?? "'\(key.stringValue)'"
    }
    return "at \(keys.joined(separator: " ")): "
  }

  private static func trimmed(_ text: String) -> String {
    text.hasSuffix(".") ? String(text.dropLast()) : text
  }
}
