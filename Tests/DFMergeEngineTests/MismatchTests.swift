import DFMergeCore
import DFMergeEngine
import Testing

/// What happens to tensors that do not fit together, for each policy.
@Suite struct MismatchTests {
  let base: NamedWeights
  let model: NamedWeights

  init() throws {
    base = try weights(
      "base",
      [
        try tensor("embed", [4, 2], ramp(8)), try tensor("body", [3], ramp(3)),
        try tensor("steps", [1], [0], dtype: .i64),
      ])
    // Two rows more, no body, a head of its own.
    model = try weights(
      "tuned",
      [
        try tensor("embed", [6, 2], ramp(12, by: 3)), try tensor("head", [2], [5, 6]),
      ])
  }

  private func merge(_ settings: [String: String]) throws -> Merge {
    try Merge(
      "task_arithmetic", options: .object(["coefficients": .double(0.5)]), base: base,
      models: [model], settings: .words(settings))
  }

  @Test func testByDefault_everythingIsRefusedInOneList() throws {
    let report = try merge([:]).plan(to: .none)
    #expect(!report.isPossible)
    #expect(
      report.problems == [
        "'embed' is [6, 2] in tuned but [4, 2] in base", "'body' is missing from tuned",
        "'head' is in tuned but not in base",
      ])
    #expect(report.remedies.contains { $0.contains("shape: common") })
    #expect(report.remedies.contains { $0.contains("missing: base") })
    #expect(report.remedies.contains { $0.contains("extra: base") })
    let error = #expect(throws: DFMergeError.self) {
      try merge([:]).run(to: .path("/tmp/never-made.safetensors"))
    }
    #expect(error?.code == .shapeMismatch)
    #expect(error?.message.contains("3 tensors cannot be aligned") == true)
  }

  @Test func testBase_copiesTheBase() throws {
    let merge = try merge(["shape": "base", "missing": "base", "extra": "base"])
    let report = try merge.plan(to: .none)
    #expect(report.isPossible && report.merged == 0 && report.copied == 3)
    #expect(report.notes.count == 3)
    let out = try target(like: base.tensors)
    try merge.run(to: .memory(out))
    #expect(floats(out[0]) == ramp(8) && floats(out[1]) == ramp(3))
  }

  @Test func testCommon_mergesTheRowsThatAllHaveAndLeavesOutTheMissing() throws {
    let merge = try merge(["shape": "common", "missing": "common", "extra": "base"])
    let report = try merge.plan(to: .none)
    #expect(report.isPossible && report.merged == 1 && report.leftOut == 1)
    #expect(report.parameters == 8)
    let out = try target(like: base.tensors)
    for view in out { view.bytes.initializeMemory(as: UInt8.self, repeating: 0xFF) }
    let done = try merge.run(to: .memory(out))
    // base + 0.5 (3 i - i) = 2 i
    #expect(floats(out[0]) == ramp(8, by: 2))
    #expect(done.leftOut == ["body"])
    #expect(out[1].bytes.allSatisfy { $0 == 0xFF })
  }

  @Test func testCommon_withFewerRowsInAModel_keepsTheBaseBelow() throws {
    let short = try weights(
      "short", [try tensor("embed", [3, 2], ramp(6, by: 3)), try tensor("body", [3], ramp(3))])
    let merge = try Merge(
      "task_arithmetic", options: .object(["coefficients": .double(0.5)]), base: base,
      models: [short], settings: .words(["shape": "common"]))
    let out = try target(like: base.tensors, dtype: nil)
    let report = try merge.run(to: .memory(out))
    #expect(floats(out[0]) == ramp(6, by: 2) + [6, 7])
    #expect(
      report.notes == [
        "'embed' is [3, 2] in short but [4, 2] in base; the 3 rows that all have are merged, "
          + "1 more is the base's"
      ])
  }

  @Test func testCommon_withMoreRowsInAModel_leavesThemOut() throws {
    let long = try weights(
      "long", [try tensor("embed", [6, 2], ramp(12)), try tensor("body", [3], ramp(3))])
    let merge = try Merge(
      "average", base: base, models: [long], settings: .words(["shape": "common"]))
    #expect(
      try merge.plan(to: .none).notes == [
        "'embed' is [6, 2] in long but [4, 2] in base; the 4 rows that all have are merged, "
          + "those beyond are left out"
      ])
  }

  @Test func testGivenMemory_isNamedWhereTheBaseDiffers() throws {
    let buffer = try AlignedBuffer(byteCount: 20)
    let out = [
      try MutableTensorView(name: "body", dtype: .f32, shape: try Shape([5]), bytes: buffer.bytes)
    ]
    let merge = try Merge("average", base: base, models: [base])
    #expect(
      try merge.plan(to: .memory(out)).problems.first
        == "'body' is [3] in base but [5] in the target")
  }

  @Test func testCommon_isNotForOtherAxes() throws {
    let wide = try weights(
      "wide", [try tensor("embed", [4, 3], ramp(12)), try tensor("body", [3], ramp(3))])
    let merge = try Merge(
      "average", base: base, models: [wide], settings: .words(["shape": "common"]))
    #expect(
      try merge.plan(to: .none).problems == ["'embed' is [4, 3] in wide but [4, 2] in base"])
  }

  @Test func testGivenMemory_decidesWhatIsExtra() throws {
    let some = try target(like: [base.tensors[1]])
    let other = try weights("other", [base.tensors[1], try tensor("head", [2], [1, 2])])
    let silent = try Merge("average", base: base, models: [other]).plan(to: .memory(some))
    #expect(silent.isPossible && silent.notes.isEmpty)
    let strict = try Merge(
      "average", base: base, models: [other], settings: .words(["extra": "error"])
    ).plan(to: .memory(some))
    #expect(!strict.isPossible)
  }

  @Test func testTypeThatIsNotMerged_isRefusedOrReplaced() throws {
    let whole = try weights(
      "whole", [try tensor("body", [3], [0, 0, 0], dtype: .i32)])
    let one = try weights("base", [base.tensors[1]])
    let refused = try Merge("average", base: one, models: [whole])
    let error = #expect(throws: DFMergeError.self) {
      try refused.run(to: .memory(try target(like: one.tensors)))
    }
    #expect(error?.code == .dtypeMismatch)
    let out = try target(like: one.tensors)
    try Merge("average", base: one, models: [whole], settings: .words(["missing": "base"]))
      .run(to: .memory(out))
    #expect(floats(out[0]) == ramp(3))
  }

  @Test func testWithoutABase_theFirstModelIsTheReference() throws {
    let other = try weights("other", [try tensor("body", [3], ramp(3, by: 3))])
    let first = try weights("first", [base.tensors[1], try tensor("head", [2], [5, 6])])
    let merge = try Merge(
      "average", models: [first, other], settings: .words(["missing": "base"]))
    let out = try target(like: first.tensors)
    let report = try merge.run(to: .memory(out))
    #expect(floats(out[0]) == ramp(3, by: 2) && floats(out[1]) == [5, 6])
    #expect(report.notes == ["'head' is missing from other; the first model's is copied"])
  }

  /// What is copied into a narrower type is a result like any other.
  @Test func testCopyBeyondTheRangeOfTheType_isRefusedOrAllowed() throws {
    let base = try weights(
      "base", [try tensor("a", [2], [1, 1e30]), try tensor("b", [1], [1])])
    let model = try weights("m", [base.tensors[1]])
    func run(_ policy: String) throws -> [MutableTensorView] {
      let out = try target(like: base.tensors, dtype: .f16)
      try Merge(
        "average", base: base, models: [model],
        settings: .words(["missing": "base", "dtype": "F16", "non_finite": policy])
      ).run(to: .memory(out))
      return out
    }
    let error = #expect(throws: DFMergeError.self) { try run("error") }
    #expect(error?.code == .nonFinite && error?.message.contains("Element 1 of tensor 'a'") == true)
    let allowed = try run("allow")
    #expect(Array(allowed[0].bytes) == [0x00, 0x3C, 0x00, 0x7C])
  }

  /// Rows that are not merged keep their bits, those of a signalling NaN too.
  @Test func testOtherRows_areCopiedBitForBit() throws {
    let signalling = Float(bitPattern: 0x7F80_0001)
    let base = try weights("base", [try tensor("w", [3], [1, 2, signalling])])
    let model = try weights("m", [try tensor("w", [2], [3, 4])])
    let out = try target(like: base.tensors)
    try Merge("average", base: base, models: [model], settings: .words(["shape": "common"]))
      .run(to: .memory(out))
    #expect(floats(out[0]).map(\.bitPattern) == [3, 4, signalling].map(\.bitPattern))
  }
}
