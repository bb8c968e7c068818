import Testing

@testable import DFMergeCore

@Suite struct OptionValuesTests {
  let schema = [
    OptionSchema("number", .number(0...1), default: .double(0.5), "n"),
    OptionSchema("count", .integer(1...9), default: .int(3), "c"),
    OptionSchema("flag", .flag, default: .bool(true), "f"),
    OptionSchema("word", .choice(["x", "y"]), default: .string("x"), "w"),
    OptionSchema("either", .numberOrChoice(0...1, ["auto"]), default: .string("auto"), "e"),
    OptionSchema("scaled", .flagOrChoice(["l1"]), default: .bool(true), "s"),
    OptionSchema("each", .numberPerModel(-2...2), default: .double(1), "m"),
    OptionSchema("span", .intervalPerModel(-9...9), default: .array([.int(0), .int(1)]), "s"),
    OptionSchema("tasks", .names, default: .array([.string("t")]), "t"),
    OptionSchema("weights", .numberPerTask(0...9), default: .object([:]), "w"),
  ]

  func values(_ text: String) throws -> OptionValues {
    try OptionValues(
      try JSONValue(parsing: text.utf8, what: "options"), schema: schema, owner: "the test",
      models: ["a", "b"])
  }

  @Test func testDefaults_areFilledIn() throws {
    let values = try values("{}")
    #expect(try values.number("number") == 0.5)
    #expect(try values.integer("count") == 3)
    #expect(try values.flag("flag"))
    #expect(values.word("word") == "x")
    #expect(try values.numberPerModel("each") == [1, 1])
    #expect(try values.intervalPerModel("span") == [0...1, 0...1])
    #expect(values.names("tasks") == ["t"])
  }

  @Test func testAFlagOrAWord() throws {
    #expect(try values("{}").flag("scaled"))
    #expect(try values("{}").word("scaled") == nil)
    #expect(try values("{\"scaled\":false}").flag("scaled") == false)
    #expect(try values("{\"scaled\":\"l1\"}").word("scaled") == "l1")
    #expect(schema.first { $0.name == "scaled" }?.json["choices"] == .array([.string("l1")]))
  }

  @Test func testPerModelValues_comeInModelOrder() throws {
    #expect(try values("{\"each\":[0.5,-1]}").numberPerModel("each") == [0.5, -1])
    #expect(try values("{\"each\":{\"b\":2,\"a\":1}}").numberPerModel("each") == [1, 2])
    #expect(
      try values("{\"span\":{\"b\":[2,3],\"a\":[0,1]}}").intervalPerModel("span") == [0...1, 2...3])
  }

  @Test(arguments: [
    "{\"number\":2}", "{\"number\":\"1\"}", "{\"count\":2.5}", "{\"count\":0}", "{\"flag\":1}",
    "{\"word\":\"z\"}", "{\"either\":\"z\"}", "{\"either\":7}", "{\"each\":[1]}",
    "{\"scaled\":\"l2\"}", "{\"scaled\":1}", "{\"each\":{\"a\":1}}",
    "{\"each\":{\"a\":1,\"b\":2,\"c\":3}}", "{\"each\":3}",
    "{\"span\":[1,0]}", "{\"span\":[1,1]}", "{\"span\":[1]}", "{\"span\":{\"a\":[0,1]}}",
    "{\"tasks\":[\"a\",\"a\"]}", "{\"tasks\":[\"\"]}", "{\"tasks\":[1]}", "{\"weights\":[1]}",
    "{\"number\":null}",
  ])
  func testWrongValues_areRefusedByName(_ text: String) throws {
    let error = #expect(throws: DFMergeError.self) { try values(text) }
    #expect(error?.code == .invalidOption)
    #expect(error?.message.contains("the test") == true)
    #expect(error?.context["option"] != nil)
  }

  @Test func testUnknownOption_listsTheKnownOnes() {
    let error = #expect(throws: DFMergeError.self) { try values("{\"numbr\":1}") }
    #expect(error?.code == .unknownName)
    #expect(error?.message.contains("number, count") == true)
  }

  @Test func testOverrides_standBetweenDefaultAndCaller() throws {
    func number(_ given: JSONValue) throws -> Double {
      try OptionValues(
        given, schema: schema, owner: "the test", models: [], overrides: ["number": .double(0.9)]
      ).number("number")
    }
    #expect(try number(.null) == 0.9)
    #expect(try number(.object(["number": .double(0.1)])) == 0.1)
  }

  @Test func testSchemaJSON_namesTypeRangeAndDefault() {
    let json = schema[0].json
    #expect(json["name"] == .string("number"))
    #expect(json["type"] == .string("number"))
    #expect(json["maximum"] == .double(1))
    #expect(json["default"] == .double(0.5))
  }
}
