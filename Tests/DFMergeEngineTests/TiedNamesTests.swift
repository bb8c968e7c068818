import DFMergeCore
import DFMergeEngine
import DFMergeIO
import Glibc
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

  /// Elements are compared by reading the files: a page of a mapping that is gone would be a signal.
  @Test func testFileThatWasCutShort_hasNoTies() throws {
    let folder = try TemporaryFolder()
    let values = ramp(100_000)
    let path = folder.file("base.safetensors")
    try SafetensorsWriter.write(
      [try tensor("embed", [100_000], values), try tensor("head", [100_000], values)], to: path)
    let base = try Checkpoint.open(path)
    truncate(path, 1000)
    let merge = try Merge(
      "average", base: base, models: [try weights("m", [try tensor("embed", [100_000], values)])])
    #expect(try merge.plan(to: .none).problems == ["'head' is missing from m"])
  }

  @Test func testTiesThatDifferLate_areNotTaken() throws {
    var values = ramp(200_000)
    let embed = try tensor("embed", [200_000], values)
    values[199_999] = 0
    let base = [embed, try tensor("head", [200_000], values)]
    #expect(try merge(base, [embed]).plan(to: .none).problems == ["'head' is missing from tuned"])
    // All alike but the last element: that is enough to tell.
    var ones = [Float](repeating: 1, count: 200_000)
    ones[199_999] = 2
    let tied = [try tensor("embed", [200_000], ones), try tensor("head", [200_000], ones)]
    #expect(try merge(tied, [embed]).plan(to: .none).isPossible)
  }

  /// Each missing or extra name was once compared with all others.
  @Test(.timeLimit(.minutes(1)))
  func testManyMissingAndExtraNames_takeTimeInProportion() throws {
    func many(_ prefix: String, from start: Float) throws -> [TensorView] {
      try (0..<10_000).map { number in
        try tensor("\(prefix)\(number)", [2], [start, Float(number)])
      }
    }
    let one = try tensor("one", [1], [1])
    let merge = try Merge(
      "average", base: try weights("base", try many("a", from: 1) + [one]),
      models: [try weights("model", try many("b", from: 2) + [one])],
      settings: .words(["missing": "base", "extra": "base"]))
    let report = try merge.plan(to: .none)
    #expect(report.isPossible && report.copied == 10_000 && report.notes.count == 20_000)
  }

  /// A tensor that is read under another name may not be overwritten meanwhile either.
  @Test func testTargetThatIsReadUnderAnotherName_isRefused() throws {
    let base = [try tensor("embed", [6], embed), try tensor("head", [6], embed)]
    let memory = try target(like: [try tensor("head", [6], embed)])
    let model = try TensorView(
      name: "embed", dtype: .f32, shape: try Shape([6]),
      bytes: UnsafeRawBufferPointer(memory[0].bytes))
    let error = #expect(throws: DFMergeError.self) {
      try merge(base, [model]).run(to: .memory(memory))
    }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.hasPrefix("Tensor 'embed' of tuned shares memory with") == true)
  }
}
