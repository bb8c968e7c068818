import DFMergeCore
import Testing

@testable import DFMergeMethods

@Suite struct TensorOptionsTests {
  private func methods(_ options: String, _ tensors: [String]) throws -> MethodSet {
    try MethodRegistry.resolve(
      "task_arithmetic", options: JSONValue(parsing: options.utf8, what: "the options"),
      models: ["a", "b"]
    ).methods(for: tensors)
  }

  @Test func testPlainOptions_shareOneInstance() throws {
    let found = try methods("{\"coefficients\":[0.5,0.25]}", ["x.0", "x.1", "y"])
    #expect(found.instances.count == 1)
  }

  @Test func testEqualOptions_shareAnInstance() throws {
    let text = "{\"coefficients\":[{\"filter\":\"x\",\"value\":0.5},{\"value\":0.1}]}"
    let found = try methods(text, ["x.0", "x.1", "y", "z"])
    #expect(found.instances.count == 2)
  }

  @Test func testNothingToMerge_isNoError() throws {
    #expect(try methods("{\"coefficients\":{\"gradient\":[0,1]}}", []).instances.count == 1)
  }

  @Test func testManyTensors_takeTimeInProportion() throws {
    let names = (0..<20_000).map { "layers.\($0).weight" }
    let found = try methods("{\"coefficients\":[{\"filter\":\"no\",\"value\":1}]}", names)
    #expect(found.instances.count == 1)
  }

  private func refusal(_ method: String, _ options: JSONValue) -> String {
    do throws(DFMergeError) {
      _ = try MethodRegistry.resolve(method, options: options, models: ["a", "b"])
      return "was taken"
    } catch {
      return error.message
    }
  }

  /// mergekit's way to write what changes over the layers.
  @Test func testListOfNumbers_isToldTheGradient() {
    let message = refusal("slerp", ["t": [0, 0.5, 1]])
    #expect(message.contains("{\"gradient\": [0,0.5,1]}"), "\(message)")
    #expect(message.contains("a list of {\"filter\""))
    #expect(refusal("ties", ["density": [0, 0.5, 1]]).contains("{\"gradient\": [0,0.5,1]}"))
    #expect(!refusal("ties", ["density": [0, 7]]).contains("gradient"))
  }

  @Test func testLongValues_areCutInMessages() {
    let long = JSONValue.array(.init(repeating: 0.5, count: 100_000))
    for message in [
      refusal("ties", ["density": long]), refusal("slerp", ["t": long]),
      refusal("ties", ["scope": .string(String(repeating: "é", count: 9999))]),
      refusal("ties", .object([String(repeating: "x", count: 9999): 1])),
    ] {
      #expect(message.utf8.count < 1200, "\(message.utf8.count)")
      #expect(message.contains("... ("))
    }
  }

  /// What a recipe says of an option that has no default and was left out.
  @Test func testNull_isTheDefaultWhereThatIsNull() {
    #expect(refusal("dppa", ["linear": .null]) == "was taken")
    #expect(refusal("lora_svd", ["scaling": .null]) == "was taken")
    #expect(refusal("ties", ["density": .null]).contains("is null"))
  }

  @Test func testUnknownOption_isNamedBesideSettings() throws {
    #expect(throws: DFMergeError.self) {
      try methods("{\"coefficients\":{\"gradient\":[0,1]},\"lamda\":1}", ["x"])
    }
  }
}
