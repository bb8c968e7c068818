import DFMergeCore
import DFMergeRecipes
import Glibc

/// Finds what a path or a name of the Hugging Face hub stands for on this machine.
///
/// What is not here as a file or folder and has the form `owner/name` is looked for in the Hugging
/// Face cache, where `hf download` and transformers put models. Nothing is downloaded.
/// Source:  the cache's layout of huggingface_hub: `models--owner--name/refs/REVISION` holds a
/// commit, `snapshots/COMMIT` its files.
enum ModelPlace {
  /// `path`, or `owner/name@revision` where there is no such path.
  static func parsed(_ text: String) -> (path: String, revision: String?) {
    let parts = text.split(separator: "@", omittingEmptySubsequences: false)
    guard access(text, F_OK) != 0, parts.count == 2, isHubID(String(parts[0])), !parts[1].isEmpty
    else { return (text, nil) }
    return (String(parts[0]), String(parts[1]))
  }

  /// An input of a merge at `text`.
  static func input(_ text: String, label: String) -> MergeInput {
    let place = parsed(text)
    return MergeInput(label: label, place: .path(place.path, revision: place.revision))
  }

  /// The path that can be opened.
  /// - Throws: `.fileNotFound`, `.invalidArgument` for a revision of a path.
  static func resolved(_ path: String, revision: String?) throws(DFMergeError) -> String {
    if access(path, F_OK) == 0 {
      guard let revision else { return path }
      throw DFMergeError(
        .invalidArgument,
        "\(path) is here, and a folder has no revision '\(revision)'; leave the revision out.",
        context: ["path": path])
    }
    guard isHubID(path) else {
      throw DFMergeError(
        .fileNotFound, "\(path) does not exist; check the path.", context: ["path": path])
    }
    guard let found = cached(path, revision: revision ?? "main") else {
      let command = "hf download \(path)" + (revision.map { " --revision \($0)" } ?? "")
      throw DFMergeError(
        .fileNotFound,
        "\(path) is neither a path here nor in the Hugging Face cache; check the path, or run "
          + "'\(command)' first.", context: ["path": path])
    }
    return found
  }

  /// Whether `text` has the form `owner/name`.
  private static func isHubID(_ text: String) -> Bool {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    return parts.count == 2
      && parts.allSatisfy { part in
        !part.isEmpty && part.first != "." && part.first != "~"
          && part.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
              UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "_"),
              UInt8(ascii: "."):
              true
            default: false
            }
          }
      }
  }

  private static func cached(_ id: String, revision: String) -> String? {
    // A revision may be a branch with slashes, and must not lead out of the cache.
    guard !revision.split(separator: "/").contains("..") else { return nil }
    let name = "models--" + id.split(separator: "/").joined(separator: "--")
    for cache in caches() {
      let model = cache + "/" + name
      let commit = firstLine(of: model + "/refs/" + revision) ?? revision
      let snapshot = model + "/snapshots/" + commit
      if !commit.contains("/"), access(snapshot, F_OK) == 0 { return snapshot }
    }
    return nil
  }

  /// Where huggingface_hub looks, by the same variables.
  private static func caches() -> [String] {
    func variable(_ name: String) -> String? {
      getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
    if let cache = variable("HF_HUB_CACHE") ?? variable("HUGGINGFACE_HUB_CACHE") { return [cache] }
    if let home = variable("HF_HOME") { return [home + "/hub"] }
    if let cache = variable("XDG_CACHE_HOME") { return [cache + "/huggingface/hub"] }
    return variable("HOME").map { [$0 + "/.cache/huggingface/hub"] } ?? []
  }

  private static func firstLine(of path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var buffer = [CChar](repeating: 0, count: 256)
    guard fgets(&buffer, Int32(buffer.count), file) != nil else { return nil }
    let bytes = buffer.prefix { $0 != 0 && $0 != 10 && $0 != 13 }.map { UInt8(bitPattern: $0) }
    let line = String(decoding: bytes, as: UTF8.self)
    return line.isEmpty ? nil : line
  }
}
