/// What the names of tensors say.
package enum TensorName {
  /// The layer that a tensor belongs to.
  package struct Layer: Hashable, Sendable {
    /// The name up to the number, which tells stacks of layers apart: "encoder.block.".
    package let stack: String
    /// From 0.
    package let number: Int
  }

  /// The first part of a name that is a whole number, parts ending at `.`, `/`, `_` and `-`; nil
  /// where none is.
  package static func layer(of name: String) -> Layer? {
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    for part in name.split(whereSeparator: { "./_-".contains($0) }) {
      if part.utf8.allSatisfy({ digits.contains($0) }), let number = Int(part) {
        return Layer(stack: String(name[..<part.startIndex]), number: number)
      }
    }
    return nil
  }

  /// Whether the whole of `name` matches `pattern`: `*` stands for any run of characters, dots
  /// included, `?` for one character, everything else for itself. Time O(name * pattern).
  package static func matches(_ name: String, _ pattern: String) -> Bool {
    let text = Array(name)
    let glob = Array(pattern)
    var (i, j) = (0, 0)
    // Where the last star stands, and how much of the text it has swallowed.
    var star: (pattern: Int, text: Int)?
    while i < text.count {
      if j < glob.count, glob[j] == "*" {
        star = (j, i)
        j += 1
      } else if j < glob.count, glob[j] == "?" || glob[j] == text[i] {
        (i, j) = (i + 1, j + 1)
      } else if let last = star {
        star = (last.pattern, last.text + 1)
        (i, j) = (last.text + 1, last.pattern + 1)
      } else {
        return false
      }
    }
    return glob[j...].allSatisfy { $0 == "*" }
  }
}
