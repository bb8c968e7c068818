import Testing

@testable import DFMergeCore

@Suite struct JSONValueTests {
  func parse(_ text: String) throws -> JSONValue {
    try JSONValue(parsing: text.utf8, what: "The test text")
  }

  @Test(arguments: [
    "null", "true", "-3", "9223372036854775807", "0.1", "1e-300", "\"a\\\"b:c\"", "[]", "{}",
    "[1,2.5,\"x\",null]", "{\"a\":{\"b\":[1]},\"c\":\":\"}",
  ])
  func testText_readsBackEqual(_ text: String) throws {
    let value = try parse(text)
    #expect(try parse(try value.text()) == value)
  }

  @Test func testDoubles_surviveTheRoundTripBitForBit() throws {
    var random = CounterRandom(seed: 3, purpose: "json")
    for _ in 0..<2_000 {
      let bits = UInt64(random.uniform() * 0x1p53) << 11 | UInt64(random.uniform() * 2_048)
      let number = Double(bitPattern: bits)
      guard number.isFinite else { continue }
      let back = try parse(try JSONValue.double(number).text()).doubleValue
      #expect(back == number)
    }
  }

  @Test(arguments: [
    "", "{", "[1,]", "{\"a\":1,}", "nul", "\"\\x\"", "{\"a\" 1}", "[1] 2", "1e999", "{1:2}",
  ])
  func testParsing_refusesBrokenText(_ text: String) {
    let error = #expect(throws: DFMergeError.self) { try parse(text) }
    #expect(error?.code == .invalidJSON)
    #expect(error?.message.contains("The test text") == true)
  }

  @Test(arguments: ["{\"a\":1,\"a\":2}", "[{\"x\":{\"k\":1,\"b\":2,\"k\":3}}]"])
  func testParsing_refusesARepeatedKey(_ text: String) {
    let error = #expect(throws: DFMergeError.self) { try parse(text) }
    #expect(error?.message.contains("twice") == true)
  }

  @Test func testText_refusesNonFiniteNumbers() {
    let error = #expect(throws: DFMergeError.self) { try JSONValue.array([.double(.nan)]).text() }
    #expect(error?.code == .nonFinite)
  }

  @Test func testDeepNesting_isAnErrorNotACrash() {
    let deep = String(repeating: "[", count: 100_000)
    #expect(throws: DFMergeError.self) { try parse(deep) }
  }

  @Test func testNesting_isTakenToTheLimitAndNoDeeper() throws {
    func nested(_ levels: Int) -> String {
      String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
    }
    _ = try parse(nested(StrictJSON.deepestNesting))
    let error = #expect(throws: DFMergeError.self) {
      try parse(nested(StrictJSON.deepestNesting + 1))
    }
    #expect(error?.code == .invalidJSON && error?.message.contains("64 levels") == true)
    // Brackets in strings are text, behind quotation marks and backslashes that are text as well.
    let text = #"["\"\\","# + String(repeating: #""[{\"[[","#, count: 40) + "1]"
    #expect(try parse(text).arrayValue?.count == 42)
    // Siblings are not levels.
    _ = try parse("[" + String(repeating: "[],", count: 500) + "{}]")
  }

  @Test func testLiterals_sayWhatTheTextSays() throws {
    let count = 40
    let value: JSONValue = [
      "trials": JSONValue(count), "tasks": ["maths", "code"], "bounds": [0, 1.5], "on": true,
      "none": nil, "name": "a\(count)", "nested": ["a": [0.5]],
    ]
    let text = """
      {"trials":40,"tasks":["maths","code"],"bounds":[0,1.5],"on":true,"none":null,"name":"a40",
       "nested":{"a":[0.5]}}
      """
    #expect(value == (try JSONValue(parsing: text.utf8, what: "text")))
    #expect(JSONValue(["a"]) == ["a"] && JSONValue([0.5]) == [0.5] && JSONValue(2.0) == 2.0)
    let words = ["a", "b"]
    let numbers = [0.25]
    #expect(JSONValue(words) == ["a", "b"] && JSONValue(numbers) == [0.25])
    #expect(JSONValue(["a": .int(1)]) == ["a": 1] && JSONValue(true) == true)
    let twice: JSONValue = ["a": 1, "a": 2]
    #expect(twice == ["a": 2])
  }
}
