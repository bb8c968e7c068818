extension JSONValue {
  /// The value in a message: its JSON text, of which a long one is cut.
  package var shown: String { (try? text()).map(JSONValue.cut) ?? "a non-finite number" }

  /// At most 200 bytes of a text that somebody else has written, and what it had.
  package static func cut(_ text: String) -> String {
    let limit = 200
    guard text.utf8.count > limit else { return text }
    var kept = String.UnicodeScalarView()
    var size = 0
    for scalar in text.unicodeScalars {
      size += UTF8.width(scalar)
      guard size <= limit else { break }
      kept.append(scalar)
    }
    return "\(String(kept))... (\(text.utf8.count) bytes)"
  }
}
