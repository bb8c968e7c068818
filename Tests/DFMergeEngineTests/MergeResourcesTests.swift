import DFMergeCore
import DFMergeIO
import DFMergeMethods
import Testing

@testable import DFMergeEngine

@Suite struct MergeResourcesTests {
  private func resources(
    _ settings: [String: JSONValue], elements: Int = 1 << 20, models: Int = 2,
    toFiles: Bool = true
  ) throws -> MergeResources {
    let base = try weights("base", [try tensor("w", [elements], ramp(elements))])
    let settings = try MergeSettings(.object(settings))
    let plan = try MergePlan(
      outputs: nil, base: base, models: Array(repeating: base, count: models), fishers: [],
      needsBase: true, settings: settings)
    let method = try MethodRegistry.resolve(
      "task_arithmetic", options: .null, models: (0..<models).map { "\($0)" })
    return try MergeResources(
      plan, methods: try method.methods(for: []), settings: settings, toFiles: toFiles)
  }

  @Test func testTraffic_countsEachInputAndOutputOnce() throws {
    let found = try resources(["threads": .int(1)], elements: 1 << 20, models: 3)
    #expect(found.bytesRead == 4 * 4 << 20)
    #expect(found.bytesWritten == 4 << 20)
    #expect(found.fileBytesRead == 0 && found.passes == 1)
  }

  @Test func testPeakMemory_doesNotGrowWithTheModel() throws {
    let small = try resources(["threads": .int(2)], elements: 1 << 21)
    let large = try resources(["threads": .int(2)], elements: 1 << 22)
    #expect(small.peakMemory == large.peakMemory)
  }

  @Test(arguments: [500, 700, 1500, 3000, 100_000])
  func testMaxMemory_isObeyed(kilobytes: Int) throws {
    // A writer takes its share first.
    let limit = kilobytes << 10 + CheckpointWriter.stagingByteCount
    let found = try resources(["threads": .int(4), "max_memory": .int(Int64(limit))])
    #expect(found.peakMemory <= limit)
    #expect(found.threads >= 1 && found.pieceElements % MergeExecutor.blockElements == 0)
  }

  @Test func testMaxMemoryThatIsTooSmall_saysHowMuchIsNeeded() throws {
    let error = #expect(throws: DFMergeError.self) {
      try resources(["max_memory": .string("10KB")])
    }
    #expect(error?.code == .outOfMemory)
    let words = error?.message.split(separator: " ") ?? []
    let needed = try #require(words.compactMap { Int($0) }.last)
    let enough = try resources(["max_memory": .int(Int64(needed))])
    #expect(enough.peakMemory <= needed)
  }

  @Test(arguments: [
    ("max_memory", JSONValue.string("much")), ("max_memory", .int(0)), ("threads", .int(-1)),
    ("dtype", .string("I8")), ("missing", .string("ignore")), ("shards", .int(1)),
  ])
  func testBadSetting_isNamed(_ name: String, _ value: JSONValue) {
    let error = #expect(throws: DFMergeError.self) {
      try MergeSettings(.object([name: value]))
    }
    #expect(error?.message.isEmpty == false)
  }

  @Test func testEverySetting_isDescribed() {
    for option in MergeSettings.schema { #expect(!option.summary.isEmpty) }
  }

  @Test func testThreadsWithoutWork_areNotCounted() throws {
    let found = try resources(["threads": .int(1024)], elements: 1 << 17)
    #expect(found.threads <= 5)
    #expect(try resources(["threads": .int(3)], elements: 1 << 20).threads == 3)
  }

  @Test func testSizeThatIsNone_namesTheSetting() throws {
    for name in ["max_memory", "max_shard_size"] {
      let error = #expect(throws: DFMergeError.self) {
        try MergeSettings(.words([name: "much"]))
      }
      #expect(error?.code == .invalidOption && error?.message.contains("'\(name)'") == true)
    }
  }
}
