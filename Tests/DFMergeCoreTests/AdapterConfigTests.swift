import Testing

@testable import DFMergeCore

@Suite struct AdapterConfigTests {
  private func config(_ text: String) throws -> AdapterConfig {
    try AdapterConfig(parsing: Array(text.utf8), path: "adapter_config.json")
  }

  @Test(arguments: [
    ("base_model.model.a.0.q.lora_A.weight", "a.0.q", "base_model.model.a.0.q.lora_B.weight"),
    ("x.lora_B.weight", "x", "x.lora_A.weight"),
    ("x.lora_A.default.weight", "x", "x.lora_B.default.weight"),
    ("x.lora_embedding_A", "x", "x.lora_embedding_B"),
    ("x.lora_embedding_B.default", "x", "x.lora_embedding_A.default"),
    ("lora_A.y.lora_B.weight", "lora_A.y", "lora_A.y.lora_A.weight"),
  ])
  func testNamesOfFactors(_ name: String, _ module: String, _ partner: String) throws {
    let factor = try #require(LoRAFactor(name))
    #expect(factor.module == module && factor.partner == partner)
    #expect(LoRAFactor(partner)?.partner == name)
    #expect(factor.side != LoRAFactor(partner)?.side)
  }

  @Test(arguments: [
    "", "x.weight", "lora_A.weight", "x.lora_A", "x.lora_A.bias", "x.lora_A.a.b.weight",
    "x.lora_magnitude_vector", "x.lora_C.weight", "x.lora_embedding_A.a.b", "x.lora_.weight",
  ])
  func testOtherNamesAreNoFactors(_ name: String) { #expect(LoRAFactor(name) == nil) }

  @Test func testRanks_comeFromTheAxisOfEachFactor() throws {
    let down = try #require(LoRAFactor("x.lora_A.weight"))
    let up = try #require(LoRAFactor("x.lora_B.weight"))
    let ranks: [(LoRAFactor, [Int], Int?)] = [
      (down, [4, 9], 4), (up, [9, 4], 4), (down, [4, 3, 2, 2], 4), (up, [9, 4, 1, 1], 4),
      (up, [9, 4, 2, 2], nil), (down, [4], nil), (down, [0, 9], nil), (down, [], nil),
    ]
    for (factor, sizes, rank) in ranks {
      let shape = try Shape(sizes)
      #expect(factor.rank(shape) == rank)
    }
    let wider = try up.shape(try Shape([9, 4, 1, 1]), withRank: 7)
    #expect(wider.dimensions == [9, 7, 1, 1])
  }

  @Test func testPatterns_areEndsOfNamesOrWholeNames() throws {
    let found = try config(
      "{\"r\": 8, \"lora_alpha\": 16, \"alpha_pattern\": {\"q\": 1, \"^a.v\": 2, \"0.k\": 3}}")
    #expect(found.alpha(of: "a.q") == 1 && found.alpha(of: "q") == 1)
    #expect(found.alpha(of: "a.xq") == 16)
    #expect(found.alpha(of: "a.v") == 2 && found.alpha(of: "b.a.v") == 16)
    #expect(found.alpha(of: "layers.0.k") == 3 && found.alpha(of: "layers.10.k") == 16)
    #expect(found.rank(of: "a.q") == 8)
  }

  @Test func testPatterns_thatSayTwoThingsOrAreExpressionsSayNothing() throws {
    let two = try config(
      "{\"r\": 8, \"lora_alpha\": 16, \"rank_pattern\": {\"q\": 1, \"a.q\": 2, \"v\": 3}}")
    #expect(two.rank(of: "a.q") == nil && two.rank(of: "b.q") == 1 && two.rank(of: "v") == 3)
    let expression = try config("{\"r\": 8, \"lora_alpha\": 16, \"alpha_pattern\": {\"q.*\": 1}}")
    #expect(expression.alpha(of: "v") == nil && expression.rank(of: "v") == 8)
    let wrong = try config("{\"r\": 8, \"lora_alpha\": 16, \"rank_pattern\": {\"q\": \"x\"}}")
    #expect(wrong.rank(of: "q") == nil && wrong.rank(of: "v") == 8)
  }

  @Test func testRefusal_namesTheMember() throws {
    let plain = "\"peft_type\": \"LORA\", \"r\": 8, \"lora_alpha\": 16"
    let cases: [(String, String?)] = [
      (plain, nil), ("\(plain), \"use_dora\": false, \"lora_bias\": null", nil),
      ("\(plain), \"use_dora\": true", "DoRA"),
      ("\(plain), \"init_lora_weights\": \"PiSSA\"", "PiSSA"),
      ("\(plain), \"init_lora_weights\": \"gaussian\"", nil), ("\"r\": 8", "not named"),
      ("\"peft_type\": \"LORA\", \"r\": 8", "no rank"),
    ]
    for (text, words) in cases {
      let refusal = try config("{\(text)}").refusal
      #expect(words.map { refusal?.contains($0) == true } ?? (refusal == nil))
    }
  }

  @Test(arguments: ["", "[]", "3", "{\"r\": 1, \"r\": 2}", "{\"r\": }"])
  func testOtherTextsAreRefused(_ text: String) {
    #expect(throws: DFMergeError.self) { try config(text) }
  }
}
