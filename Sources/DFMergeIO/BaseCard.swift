import DFMergeCore

/// What a merge's model card takes over from its base's folder.
struct BaseCard {
  /// The lines of `license`, `license_name` and `license_link` in the base's card, as they stand.
  let licenseLines: [String]
  /// The base card's own, or what its files tell; nil when neither does.
  let library: String?

  /// Longer lines and longer lists are not what these members hold.
  private static let longestLine = 300
  private static let longestList = 20
  /// A longer card is not looked at.
  private static let longestCard = 4 << 20

  /// Reads `README.md` of a checkpoint folder, where there is one. A card that cannot be read is
  /// treated as none: it is no reason to refuse a merge.
  init(folder: String?) {
    var members: [String: [String]] = [:]
    var library: String?
    if let folder {
      members = BaseCard.frontMatter(of: Folder.join(folder, MergeRecord.cardName))
      if FileKind.of(Folder.join(folder, "modules.json")) == .file {
        library = "sentence-transformers"
      } else if FileKind.of(Folder.join(folder, CheckpointNames.config)) == .file {
        library = "transformers"
      }
    }
    licenseLines = ["license", "license_name", "license_link"].flatMap { members[$0] ?? [] }
    let stated = members["library_name"]?.first?.dropFirst("library_name:".count)
      .split(separator: " ").first.map(String.init)
    self.library = stated ?? library
  }

  /// The lines of every outermost member of the YAML between the two `---` at the start of a card.
  private static func frontMatter(of path: String) -> [String: [String]] {
    guard FileKind.of(path) == .file, let file = try? InputFile(path: path),
      file.byteCount <= longestCard, let bytes = try? file.readAll()
    else { return [:] }
    let lines = String(decoding: bytes, as: UTF8.self)
      .split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
    guard lines.first?.allSatisfy({ $0 == "-" }) == true, lines[0].count == 3 else { return [:] }
    guard let end = lines.dropFirst().firstIndex(where: { $0 == "---" }) else { return [:] }
    var members: [String: [String]] = [:]
    var current = ""
    for line in lines[1..<end] {
      let isContinued = line.hasPrefix(" ") || line.hasPrefix("-")
      if !isContinued {
        current = line.firstIndex(of: ":").map { String(line[..<$0]) } ?? ""
      }
      let isPlain = line.count <= longestLine && line.unicodeScalars.allSatisfy { $0.value >= 0x20 }
      guard !current.isEmpty, isPlain, members[current, default: []].count < longestList else {
        continue
      }
      members[current, default: []].append(String(line))
    }
    return members
  }
}
