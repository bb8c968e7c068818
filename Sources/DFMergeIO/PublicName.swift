/// What to call an input in a text that may be published.
///
/// A path can tell who works where; a model card must not.
package enum PublicName {
  /// The name for the path of an input, as it was given:
  /// - `org/name` for a snapshot in the cache of huggingface_hub (`.../models--org--name/...`);
  /// - a relative path inside the working folder, and so also a hub id: as it is;
  /// - the last component of any other path.
  package static func of(path: String) -> String {
    let parts = path.split(separator: "/")
    for part in parts where part.hasPrefix("models--") {
      let id = String(part.dropFirst("models--".count)).replacing("--", with: "/")
      if isHubID(id) || isHubName(Substring(id)) { return id }
    }
    let isInside = !path.hasPrefix("/") && !path.hasPrefix("~") && !parts.contains("..")
    if isInside { return path }
    return parts.last { $0 != ".." && $0 != "." }.map(String.init) ?? "model"
  }

  /// Whether `name` is written as an id of the Hugging Face hub with its owner, `org/name`. The hub
  /// refuses a card whose `base_model` lists anything else.
  package static func isHubID(_ name: String) -> Bool {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    return parts.count == 2 && parts.allSatisfy(isHubName)
  }

  private static func isHubName(_ part: Substring) -> Bool {
    let isPlain = part.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"),
        UInt8(ascii: "."):
        true
      default: false
      }
    }
    return isPlain && !part.isEmpty && part.utf8.count <= 96 && part.first != "."
      && part.first != "-" && part.last != "." && part.last != "-"
  }
}
