import Testing

@testable import DFMerge
@testable import DFMergeCore

@Suite struct SearchGroupsTests {
  static func groups(_ option: String, _ names: [String]) throws -> SearchGroups {
    try SearchGroups(
      try JSONValue(parsing: option.utf8, what: "groups"), tensors: names.map { ($0, 10) })
  }

  static let layers =
    ["embed.weight"] + (0..<6).flatMap { ["h.\($0).attn", "h.\($0).mlp.2.w"] } + ["norm"]

  @Test func testNoOption_isOneGroup() throws {
    let groups = try SearchGroupsTests.groups("null", ["a", "b"])
    #expect(groups.names == ["all"] && groups.assignment == [0, 0])
    #expect(groups.groups[0].elements == 20)
  }

  @Test(arguments: 1...6)
  func testLayers_areCutIntoRunsOfEqualLength(_ count: Int) throws {
    let groups = try SearchGroupsTests.groups("\"layers:\(count)\"", SearchGroupsTests.layers)
    #expect(groups.count == count + 1 && groups.names.last == "rest")
    #expect(groups.groups.last?.tensors == ["embed.weight", "norm"])
    let sizes = groups.groups.dropLast().map(\.tensors.count)
    #expect(sizes.reduce(0, +) == 12)
    #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 2)
    // Runs: the group never falls along the layers.
    let along = groups.assignment[1...12]
    #expect(zip(along, along.dropFirst()).allSatisfy { $0 <= $1 })
  }

  @Test func testLayers_countDistinctNumbersWhateverTheyAre() throws {
    let groups = try SearchGroupsTests.groups(
      "\"layers:2\"", ["x.3.w", "x.7.w", "x.11.w", "x.3.b"])
    #expect(groups.names == ["layers 3-7", "layer 11"])
    #expect(groups.assignment == [0, 0, 1, 0])
  }

  @Test(
    arguments: [
      ("wav2vec.encoder.layers.3.weight", 3), ("encoder.block.10.layer.1.w", 10),
      ("h_4/kernel", 4), ("layer1.0.conv2", 0), ("conv2d", nil), ("", nil), ("a.٣.b", nil),
      ("x.99999999999999999999999.4", 4),
    ] as [(String, Int?)])
  func testLayerNumber_isTheFirstPartThatIsANumber(_ name: String, _ number: Int?) {
    #expect(TensorName.layer(of: name)?.number == number)
  }

  @Test(arguments: [
    ("abc", "abc", true), ("abc", "ab", false), ("abc", "*", true), ("", "*", true),
    ("", "", true), ("", "?", false), ("abc", "a*c", true), ("abc", "a?c", true),
    ("abc", "?b*", true), ("a.b.c", "*.c", true), ("aab", "*ab", true), ("aaa", "*a?a", true),
    ("abc", "*d", false), ("é", "?", true), ("a*c", "a*c", true), ("abcbc", "a*bc", true),
  ])
  func testPatterns(_ name: String, _ pattern: String, _ isMatch: Bool) {
    #expect(TensorName.matches(name, pattern) == isMatch)
  }

  @Test func testPatterns_ofHostileLengthTakeNoTime() {
    let name = String(repeating: "a", count: 2000)
    #expect(!TensorName.matches(name, String(repeating: "*a", count: 200) + "b"))
  }

  @Test func testFirstMatchWins_inTheOrderOfTheList() throws {
    let list = """
      [{"name":"attention","pattern":"*attn*"},{"name":"early","patterns":["h.0.*","h.1.*"]}]
      """
    let groups = try SearchGroupsTests.groups(list, ["h.0.attn", "h.0.mlp", "h.1.mlp", "norm"])
    #expect(groups.names == ["attention", "early", "rest"])
    #expect(groups.assignment == [0, 1, 1, 2])
    let object = try SearchGroupsTests.groups(
      "{\"early\":[\"h.0.*\",\"h.1.*\"],\"attention\":\"*attn*\"}",
      ["h.0.attn", "h.0.mlp", "h.1.mlp", "norm"])
    // The order of the names: attention comes first here as well.
    #expect(object.assignment == [0, 1, 1, 2])
  }

  @Test(arguments: [
    "\"layers\"", "\"layers:0\"", "\"layers:x\"", "\"layers:7\"", "\"layers:2:1\"", "4", "[]", "{}",
    "[{\"name\":\"a\"}]", "[{\"name\":\"a\",\"pattern\":5}]", "[{\"name\":\"a\",\"patterns\":[]}]",
    "[{\"name\":\"a\",\"pattern\":\"*\",\"other\":1}]", "{\"rest\":\"*\"}", "{\"\":\"*\"}",
    "[{\"name\":\"a\",\"pattern\":\"x\"}]", "{\"a\":\"*\",\"b\":\"*\"}",
    "[{\"name\":\"a\",\"pattern\":\"h.0*\"},{\"name\":\"a\",\"pattern\":\"*\"}]",
  ])
  func testOtherForms_areRefusedByName(_ option: String) throws {
    let error = #expect(throws: DFMergeError.self) {
      try SearchGroupsTests.groups(option, SearchGroupsTests.layers)
    }
    #expect(error?.code == .invalidOption && error?.context["option"] == "groups")
  }
}
