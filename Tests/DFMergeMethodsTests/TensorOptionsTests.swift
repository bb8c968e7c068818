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

  @Test func testUnknownOption_isNamedBesideSettings() throws {
    #expect(throws: DFMergeError.self) {
      try methods("{\"coefficients\":{\"gradient\":[0,1]},\"lamda\":1}", ["x"])
    }
  }
}
