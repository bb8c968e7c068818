import DFMergeCore
import FoundationEssentials
import Testing

/// Names and numbers of statuses and element types against every record of the interface: the
/// present one, and those of the released versions.
@Suite struct PinnedNumbersTests {
  private static let folder = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "include/abi")

  private static var present: URL { folder.appending(path: "dfmerge.json") }

  private static func released() throws -> [URL] {
    let released = folder.appending(path: "released")
    return try FileManager.default.contentsOfDirectory(atPath: released.path())
      .filter { $0.hasSuffix(".json") }.sorted().map { released.appending(path: $0) }
  }

  /// The constants whose names start with `prefix`, without it, by number.
  private static func constants(_ prefix: String, in record: URL) throws -> [String: Int32] {
    let json = try JSONValue(parsing: Array(Data(contentsOf: record)), what: record.path())
    var found: [String: Int32] = [:]
    for (name, value) in try #require(json.objectValue?["constants"]?.objectValue)
    where name.hasPrefix(prefix) {
      found[String(name.dropFirst(prefix.count))] = Int32(try #require(value.intValue))
    }
    return found
  }

  /// The names of `pinned` that `library` lacks or has under another number.
  private static func moved(_ pinned: [String: Int32], _ library: [String: Int32]) -> [String] {
    pinned.filter { library[$0.key] != $0.value }.map(\.key).sorted()
  }

  private static let statuses = Dictionary(
    uniqueKeysWithValues: DFMergeError.Code.all.map { ($0.name.uppercased(), $0.code.rawValue) })
  private static let types = Dictionary(
    uniqueKeysWithValues: DType.allCases.map { ($0.name, $0.rawValue) })

  @Test func theLibraryHasTheNumbersOfThePresentRecord() throws {
    #expect(try Self.constants("DFM_ERROR_", in: Self.present) == Self.statuses)
    #expect(try Self.constants("DFM_DTYPE_", in: Self.present) == Self.types)
  }

  @Test func theLibraryKeepsTheNumbersOfEveryReleasedVersion() throws {
    let records = try Self.released()
    #expect(!records.isEmpty)
    for record in records {
      let statuses = try Self.constants("DFM_ERROR_", in: record)
      #expect(statuses.count >= 25)
      #expect(Self.moved(statuses, Self.statuses) == [], "\(record.lastPathComponent)")
      let types = try Self.constants("DFM_DTYPE_", in: record)
      #expect(types.count >= 22)
      #expect(Self.moved(types, Self.types) == [], "\(record.lastPathComponent)")
    }
  }

  @Test func aNumberThatMovedIsFound() {
    var library = Self.statuses
    library["NON_FINITE"] = 403
    library["CANCELLED"] = nil
    #expect(Self.moved(Self.statuses, library) == ["CANCELLED", "NON_FINITE"])
  }
}
