import DFMergeCore
import DFMergeEngine
import Testing

/// Tensors that are made of others, or of parts of tensors: how they are aligned, and where they go.
@Suite struct GatheredTensorTests {
  private func layers(_ label: String, _ count: Int, by step: Float = 1) throws -> NamedWeights {
    var tensors = [try tensor("embed", [2], [7, 8])]
    for layer in 0..<count {
      tensors.append(
        try tensor("h.\(layer).w", [2, 3], ramp(6, from: Float(layer), by: step)))
    }
    return try weights(label, tensors)
  }

  private func share(
    _ model: NamedWeights, base: NamedWeights? = nil, options: [String: JSONValue] = [:],
    settings: [String: String] = [:]
  ) throws -> Merge {
    try Merge(
      "share", options: .object(options), base: base, models: [model], settings: .words(settings))
  }

  @Test func oneEntryIsWrittenToEveryPlace() throws {
    let model = try layers("model", 4)
    let merge = try share(model, options: ["distinct_layers": .int(2)])
    let plan = try merge.plan(to: .none)
    #expect(plan.isPossible && plan.merged == 5 && plan.reshaped.isEmpty)
    #expect(plan.ties == ["h.1.w": "h.0.w", "h.3.w": "h.2.w"])
    // Every layer is read once, and so is the embedding.
    #expect(plan.bytesRead == 4 * 24 + 8 && plan.bytesWritten == plan.bytesRead)
    #expect(plan.description.contains("2 with the values of 2 others"))
    let out = try target(like: model.tensors)
    let report = try merge.run(to: .memory(out))
    #expect(report.ties == plan.ties && report.merged == 5)
    #expect(out.map(floats) == [[7, 8]] + [0.5, 0.5, 2.5, 2.5].map { ramp(6, from: $0) })
  }

  @Test func theFirstOfTheLayersNamesTheTie_whateverTheOrderOfTheTarget() throws {
    let model = try layers("model", 3)
    let out = try target(like: model.tensors.reversed().filter { $0.name != "h.1.w" })
    let report = try share(model).run(to: .memory(out))
    #expect(report.ties == ["h.2.w": "h.0.w"])
    // What is not written counts all the same.
    #expect(out.map(floats) == [ramp(6, from: 1), ramp(6, from: 1), [7, 8]])
  }

  @Test func typesOfTheirOwnAreRoundedFromOneMean() throws {
    let model = try layers("model", 2)
    let out = try target(like: [model.tensors[1]]) + target(like: [model.tensors[2]], dtype: .bf16)
    let report = try share(model).run(to: .memory(out))
    #expect(report.ties.isEmpty && report.merged == 2)
    #expect(floats(out[0]) == ramp(6, from: 0.5))
  }

  @Test func aBaseGivesNamesAndTheModelTheValues() throws {
    let base = try layers("base", 3, by: 0)
    let model = try layers("model", 3)
    let out = try target(like: base.tensors)
    try share(model, base: base).run(to: .memory(out))
    #expect(floats(out[3]) == ramp(6, from: 1))
    let short = try layers("short", 2)
    let refused = try share(short, base: base).plan(to: .none)
    #expect(
      !refused.isPossible && refused.problems.allSatisfy { $0.contains("'h.2.w' is missing") })
    let kept = try share(short, base: base, settings: ["missing": "base"])
    #expect(try kept.plan(to: .none).copied == 3)
    try kept.run(to: .memory(out))
    #expect(floats(out[1]) == ramp(6, by: 0) && floats(out[3]) == ramp(6, from: 2, by: 0))
    let common = try share(short, base: base, settings: ["missing": "common"]).plan(to: .none)
    #expect(common.isPossible && common.leftOut == 3 && common.merged == 1)
  }

  @Test func shapesWithinAGroupAreRefusedByName() throws {
    var tensors = try layers("model", 2).tensors
    tensors.append(try tensor("h.2.w", [3, 2], ramp(6)))
    let plan = try share(try weights("model", tensors)).plan(to: .none)
    #expect(!plan.isPossible && plan.problems.count == 3)
    #expect(plan.problems[0].contains("'h.0.w' is [2, 3] and 'h.2.w'"))
  }

  @Test func partsOfATensorChangeItsShape() throws {
    let model = try weights(
      "model", [try tensor("a", [3, 2], ramp(6)), try tensor("b", [2], [1, 5])])
    let merge = try Merge(
      "collapse", options: .object(["tensors": .array([.string("a")])]), models: [model])
    let plan = try merge.plan(to: .none)
    #expect(plan.reshaped == ["a": try Shape([2])] && plan.ties.isEmpty && plan.bytesWritten == 16)
    let out = try target(like: [try tensor("a", [2], [0, 0]), model.tensors[1]])
    try merge.run(to: .memory(out))
    #expect(out.map(floats) == [[2, 3], [1, 5]])
    let wrong = try merge.plan(to: .memory(try target(like: model.tensors)))
    #expect(wrong.problems == ["'a' is [3, 2] in the target but the merge gives [2]"])
  }

  @Test func inputsThatAreWrittenAreRefused() throws {
    let model = try layers("model", 2)
    let out = try MutableTensorView(
      name: "h.0.w", dtype: .f32, shape: try Shape([2, 3]),
      bytes: UnsafeMutableRawBufferPointer(mutating: model.tensors[2].bytes))
    let error = #expect(throws: DFMergeError.self) { try share(model).run(to: .memory([out])) }
    #expect(error?.message.contains("'h.1.w'") == true)
  }
}
