import DFMergeCore
import DFMergeEngine
import Testing

/// Tensors that stand under two names, of which some checkpoints keep one.
@Suite struct TiedNamesTests {
  let embed = ramp(6, from: 1)

  private func merge(_ base: [TensorView], _ model: [TensorView]) throws -> Merge {
    try Merge(
      "task_arithmetic", options: .object(["coefficients": .double(1)]),
      base: try weights("base", base), models: [try weights("tuned", model)])
  }

  @Test func testNameThatAModelDropped_isReadUnderTheKeptOne() throws {
    let base = [try tensor("embed", [3, 2], embed), try tensor("head", [3, 2], embed)]
    let merge = try merge(base, [try tensor("embed", [3, 2], ramp(6, by: 5))])
    #expect(
      try merge.plan(to: .none).notes == ["'head' is 'embed' in tuned, to which it is tied"])
    let out = try target(like: base)
    try merge.run(to: .memory(out))
    #expect(floats(out[0]) == ramp(6, by: 5) && floats(out[1]) == ramp(6, by: 5))
  }

  @Test func testSecondNameThatTheBaseLacks_isLeftOut() throws {
    let model = [try tensor("embed", [3, 2], ramp(6)), try tensor("head", [3, 2], ramp(6))]
    let report = try merge([try tensor("embed", [3, 2], embed)], model).plan(to: .none)
    #expect(report.isPossible && report.merged == 1)
    #expect(report.notes.first?.contains("'head' of tuned is its 'embed' under a second") == true)
  }

  @Test func testUntiedHead_isAProblemAndNotTaken() throws {
    let model = [try tensor("embed", [3, 2], ramp(6)), try tensor("head", [3, 2], embed)]
    let report = try merge([try tensor("embed", [3, 2], embed)], model).plan(to: .none)
    #expect(report.problems == ["'head' is in tuned but not in base"])
  }

  /// Many a bias is all zeros and yet its own tensor.
  @Test func testConstantTensors_areNeverTied() throws {
    let zeros = [Float](repeating: 0, count: 6)
    let base = [try tensor("a", [6], zeros), try tensor("b", [6], zeros)]
    let report = try merge(base, [try tensor("a", [6], ramp(6))]).plan(to: .none)
    #expect(report.problems == ["'b' is missing from tuned"])
    let extra = try merge(
      [try tensor("a", [6], zeros)], [try tensor("a", [6], zeros), try tensor("b", [6], zeros)])
    #expect(try extra.plan(to: .none).problems == ["'b' is in tuned but not in base"])
  }

  @Test func testFishersUnderTheKeptName_serveBoth() throws {
    let base = try weights(
      "base", [try tensor("embed", [2], [1, 2]), try tensor("head", [2], [1, 2])])
    let models = try [Float(3), 5].enumerated().map { number, value in
      try weights("m\(number)", [try tensor("embed", [2], [value, value + 1])])
    }
    let fishers = try [Float(1), 3].enumerated().map { number, value in
      try weights("f\(number)", [try tensor("embed", [2], [value, value])])
    }
    let merge = try Merge(
      "df_merge", options: .object(["coefficients": .double(0.5)]), base: base, models: models,
      fishers: fishers)
    let out = try target(like: base.tensors)
    try merge.run(to: .memory(out))
    // 1 + 2 * (0.5 * 2 * 1 + 0.5 * 4 * 3) / 4
    #expect(floats(out[0]) == floats(out[1]))
    #expect(abs(floats(out[0])[0] - 4.5) < 1e-6)
  }
}
