import DFMergeCore
import FoundationEssentials
import Testing

/// The numbers of the hand-written C header against those of the library, in both directions.
@Suite struct HeaderConstantsTests {
  /// Every `NAME = number` of the header whose name starts with `prefix`, without the prefix.
  private func constants(_ prefix: String) throws -> [String: Int32] {
    let root = URL(filePath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let header = root.appending(path: "Sources/CDFMergeShims/include/dfmerge_types.h")
    let text = try String(contentsOf: header, encoding: .utf8)
    var found: [String: Int32] = [:]
    for line in text.split(separator: "\n") {
      let sides = line.split(separator: "=")
      let name = sides[0].drop { $0 == " " }
      guard sides.count == 2, name.hasPrefix(prefix) else { continue }
      let number = sides[1].filter { $0.isNumber || $0 == "-" }
      found[String(name.dropFirst(prefix.count).prefix { $0 != " " })] = Int32(number)
    }
    return found
  }

  @Test func everyErrorCodeIsInTheHeaderAndNoOther() throws {
    let expected = Dictionary(
      uniqueKeysWithValues: DFMergeError.Code.all.map { ($0.name.uppercased(), $0.code.rawValue) })
    #expect(try constants("DFM_ERROR_") == expected)
    #expect(try constants("DFM_OK") == ["": 0])
  }

  @Test func everyElementTypeIsInTheHeaderAndNoOther() throws {
    let expected = Dictionary(
      uniqueKeysWithValues: DType.allCases.map { ($0.name, $0.rawValue) })
    #expect(try constants("DFM_DTYPE_") == expected)
  }
}
