import Glibc

/// A C string that stays valid and unchanged until the process ends.
struct StaticText: @unchecked Sendable {
  // Sendable: the bytes are written once, before the pointer is visible to anybody.
  let pointer: UnsafePointer<CChar>

  /// Copies `text` to memory that is never freed: keep the result in a global.
  init(_ text: String) {
    // Without memory for a few bytes the empty text is the only answer left.
    pointer = strdup(text).map { UnsafePointer($0) } ?? StaticText.empty.pointer
  }

  /// The empty text; it needs no memory of its own.
  static let empty = StaticText(literal: "")

  private init(literal: StaticString) {
    pointer = UnsafeRawPointer(literal.utf8Start).assumingMemoryBound(to: CChar.self)
  }
}
