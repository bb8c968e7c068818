import DFMergeCore

extension StrictJSON {
  /// Decodes the JSON object in a file; a text that starts with anything else is refused at once.
  /// - Throws: `.invalidFormat` naming the file.
  static func decodeObject<Value: Decodable>(
    _ type: Value.Type, from text: [UInt8], what: String, path: String
  ) throws(DFMergeError) -> Value {
    let remedy = "the file is damaged, write or download it again"
    let spaces: Set<UInt8> = [0x20, 0x0A, 0x0D, 0x09]
    guard text.first(where: { !spaces.contains($0) }) == UInt8(ascii: "{") else {
      throw DFMergeError(
        .invalidFormat, "\(what) is not valid JSON: it does not start with '{'; \(remedy).",
        context: ["path": path])
    }
    return try decode(
      type, from: text, what: what, remedy: remedy, context: ["path": path], code: .invalidFormat)
  }
}
