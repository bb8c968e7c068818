import Testing

@testable import DFMerge
@testable import DFMergeCore

/// Merges in the background.
@Suite struct BackgroundMergeTests {
  /// Weights that are looked at only once a gate is open.
  final class GatedWeights: WeightSource {
    let weights: NamedWeights
    let gate: Gate
    init(_ weights: NamedWeights, _ gate: Gate) { (self.weights, self.gate) = (weights, gate) }
    var tensors: [TensorView] {
      gate.pass()
      return weights.tensors
    }
    func tensor(named name: String) -> TensorView? { weights.tensor(named: name) }
    var label: String { weights.label }
  }

  static func merge(_ fixture: SearchFixture) throws -> Merge {
    try Merge(
      "task_arithmetic", options: ["coefficients": 0.4], base: fixture.base,
      models: fixture.models.map(\.weights))
  }

  @Test func testResult_isTheSynchronousOneAndProgressReachesTheTotal() async throws {
    let fixture = try SearchFixture()
    let merge = try BackgroundMergeTests.merge(fixture)
    try merge.run(to: .memory(fixture.target))
    let expected = fixture.merged
    fixture.target[0].bytes.initializeMemory(as: UInt8.self, repeating: 0)
    let run = merge.start(to: .memory(fixture.target))
    var events: [ProgressEvent] = []
    for await event in run.progress { events.append(event) }
    #expect(try await run.result.merged == 1)
    #expect(fixture.merged == expected)
    #expect(events.allSatisfy { $0.phase == .merge && $0.total == 37 * 4 })
    #expect(events.map(\.done) == events.map(\.done).sorted() && events.last?.done == 37 * 4)
  }

  @Test func testCancel_leavesTheFileAsItWas() async throws {
    let file = TemporaryPath("merged.safetensors")
    file.write([1, 2, 3])
    let fixture = try SearchFixture()
    let gate = Gate()
    let merge = try Merge(
      "task_arithmetic", options: ["coefficients": 0.4], base: GatedWeights(fixture.base, gate),
      models: fixture.models.map(\.weights))
    let run = merge.start(to: .path(file.path))
    try await gate.reached()
    run.cancel()
    gate.open()
    let error = await #expect(throws: DFMergeError.self) { try await run.result }
    #expect(error?.code == .cancelled)
    #expect(file.bytes == [1, 2, 3])
  }

  @Test func testErrors_comeOutOfTheResult() async throws {
    let fixture = try SearchFixture()
    let merge = try BackgroundMergeTests.merge(fixture)
    let nowhere = merge.start(to: .none)
    let missing = merge.start(to: .path("/nowhere/at/all/merged.safetensors"))
    let first = await #expect(throws: DFMergeError.self) { try await nowhere.result }
    #expect(first?.code == .invalidArgument)
    let second = await #expect(throws: DFMergeError.self) { try await missing.result }
    #expect(second?.code == .fileNotFound)
  }

  @Test func testTwoRuns_ofOneMergeToFilesOfTheirOwn() async throws {
    let (one, two) = (TemporaryPath("one.safetensors"), TemporaryPath("two.safetensors"))
    let merge = try BackgroundMergeTests.merge(try SearchFixture())
    let (first, second) = (merge.start(to: .path(one.path)), merge.start(to: .path(two.path)))
    _ = try await (first.result, second.result)
    #expect(!one.bytes.isEmpty && one.bytes == two.bytes)
  }
}
