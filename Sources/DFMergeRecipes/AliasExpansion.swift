/// How much a YAML text becomes when its aliases are written out, from above, without parsing it.
///
/// A few lines of aliases of aliases can stand for more values than any memory holds. An alias
/// stands for no more than what lies between its anchor and the first use of it: one, plus what the
/// aliases in between stand for. What only looks like an anchor or an alias, in a text or a comment,
/// makes the bound larger, never smaller.
enum AliasExpansion {
  /// The anchors of one name, which may stand several times.
  private struct Anchors {
    /// The number of aliases before the first of them that has not been used yet.
    var firstUnused: Int?
    /// The most that one of those used stands for.
    var weight = 1
  }

  /// The line of the first alias with which all of them stand for more than `limit`; nil for none.
  static func excess(in text: String, limit: Int) -> Int? {
    var anchors: [Substring: Anchors] = [:]
    /// What the first so many aliases stand for, together.
    var sums = [0]
    var line = 1
    let bytes = text.utf8
    var place = bytes.startIndex
    while place < bytes.endIndex {
      let byte = bytes[place]
      bytes.formIndex(after: &place)
      if byte == UInt8(ascii: "\n") { line += 1 }
      guard byte == UInt8(ascii: "&") || byte == UInt8(ascii: "*") else { continue }
      let start = place
      while place < bytes.endIndex, isName(bytes[place]) { bytes.formIndex(after: &place) }
      guard start < place else { continue }
      var known = anchors[text[start..<place]] ?? Anchors()
      if byte == UInt8(ascii: "&") {
        known.firstUnused = known.firstUnused ?? sums.count - 1
      } else {
        // No sum is above `limit` before this one, so nothing here overflows.
        let total = sums[sums.count - 1]
        if let first = known.firstUnused {
          known.weight = max(known.weight, 1 + total - sums[first])
        }
        known.firstUnused = nil
        sums.append(total + known.weight)
        if total + known.weight > limit { return line }
      }
      anchors[text[start..<place]] = known
    }
    return nil
  }

  private static func isName(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }
}
