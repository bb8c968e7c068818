import DFMergeCore
import DFMergeIO
import Glibc
import Testing

@testable import DFMergeEngine

/// Merges from files to files against the same merges in memory.
@Suite struct FileMergeTests {
  let folder: TemporaryFolder
  /// Sizes around the ends of blocks and pieces, with no elements, one, and a matrix.
  let shapes: [(String, [Int])] = [
    ("a", [3, 7]), ("b.empty", [0]), ("c.scalar", []), ("d", [65_536]), ("e", [300, 257]),
    ("f", [1]),
  ]

  init() throws { folder = try TemporaryFolder() }

  private func model(_ seed: UInt64, scale: Float = 1) throws -> [TensorView] {
    var random = CounterRandom(seed: seed, purpose: "file merges")
    return try shapes.map { name, shape in
      let count = shape.reduce(1, *)
      return try tensor(name, shape, (0..<count).map { _ in scale * Float(random.uniform() - 0.5) })
    } + [try tensor("steps", [2], [0, 0], dtype: .i64)]
  }

  private func saved(_ name: String, _ tensors: [TensorView], shard: Int? = nil) throws -> String {
    let path = folder.file(name)
    try CheckpointWriter.write(
      tensors, toFolder: path, shardSize: try shard.map { try ShardSize(bytes: $0) } ?? .standard)
    return path
  }

  private func inMemory(
    _ method: String, _ options: JSONValue, _ base: [TensorView], _ models: [[TensorView]],
    _ fishers: [[TensorView]] = []
  ) throws -> [MutableTensorView] {
    let out = try target(like: base)
    try Merge(
      method, options: options, base: try weights("base", base),
      models: try models.enumerated().map { try weights("m\($0)", $1) },
      fishers: try fishers.enumerated().map { try weights("f\($0)", $1) }
    ).run(to: .memory(out))
    return out
  }

  private func expectSame(_ path: String, _ expected: [MutableTensorView]) throws {
    let found = try Checkpoint.open(path)
    for view in expected {
      let written = try #require(found.tensor(named: view.name))
      #expect(written.dtype == view.dtype && written.shape == view.shape)
      #expect(Array(written.bytes) == Array(view.bytes), "\(view.name)")
    }
    #expect(found.tensors.count == expected.count)
  }

  @Test func testPlan_saysWhatIsReplaced() throws {
    let base = try saved("base", try model(1))
    let merge = try Merge(
      "average", base: try Checkpoint.open(base), models: [try Checkpoint.open(base)])
    let out = folder.file("out")
    #expect(try !merge.plan(to: .path(out)).replaces)
    #expect(try !merge.plan(to: .path(out + ".safetensors")).replaces)
    #expect(try !merge.plan(to: .none).replaces)
    try merge.run(to: .path(out))
    try merge.run(to: .path(out + ".safetensors"))
    #expect(try merge.plan(to: .path(out + ".safetensors")).replaces)
    let text = try merge.plan(to: .path(out)).description
    #expect(text.hasPrefix("Weighted average (model soup), method 'average', into \(out)\n"))
    #expect(text.contains("\nreplaces the weights that are there\n"))
    #expect(
      try merge.plan(to: .path(base + "/")).description
        .contains("\nreplaces the weights that are there, an input of this merge\n"))
  }

  @Test(arguments: ["average", "task_arithmetic", "df_merge", "fisher"])
  func testFiles_giveTheBytesOfMemory(_ method: String) throws {
    let base = try model(1)
    let models = [try model(2), try model(3)]
    let needsFisher = method == "df_merge" || method == "fisher"
    let fishers = try needsFisher ? [4, 5].map { try fisher(UInt64($0)) } : []
    let expected = try inMemory(method, .null, base, models, fishers)
    // Shards of the inputs and of the output, threads and memory change nothing.
    for (shard, threads, memory) in [(1 << 30, 1, "100MB"), (5000, 2, "40MB"), (70_000, 8, "50MB")]
    {
      let sources = try models.enumerated().map { number, tensors in
        try Checkpoint.open(try saved("\(method)-m\(number)-\(threads)", tensors, shard: shard))
      }
      let weights = try fishers.enumerated().map { number, tensors in
        try Checkpoint.open(try saved("\(method)-f\(number)-\(threads)", tensors, shard: shard))
      }
      let out = folder.file("\(method)-out-\(threads)")
      try Merge(
        method, base: try Checkpoint.open(try saved("\(method)-base-\(threads)", base)),
        models: sources, fishers: weights,
        settings: .object([
          "threads": .int(Int64(threads)), "max_memory": .string(memory),
          "max_shard_size": .int(Int64(shard)),
        ])
      ).run(to: .path(out))
      try expectSame(out, expected)
    }
  }

  private func fisher(_ seed: UInt64) throws -> [TensorView] {
    var random = CounterRandom(seed: seed, purpose: "fishers")
    return try shapes.map { name, shape in
      let count = shape.reduce(1, *)
      return try tensor(name, shape, (0..<count).map { _ in Float(random.uniform()) * 1e-3 })
    }
  }

  @Test func testOneFile_andTheBaseReplacedByTheResult() throws {
    let base = try model(1)
    let models = [try model(2), try model(3)]
    let expected = try inMemory("average", .null, base, models)
    let path = folder.file("base.safetensors")
    try SafetensorsWriter.write(base, to: path)
    let merge = try Merge(
      "average", base: try Checkpoint.open(path),
      models: try models.enumerated().map { try weights("m\($0)", $1) })
    // What is read stays what it was: the file is replaced, not written over.
    try merge.run(to: .path(path))
    try expectSame(path, expected)
  }

  @Test func testDType_isThatOfEveryMergedTensorAndRoundingIsReported() throws {
    let base = try Checkpoint.open(try saved("base", try model(1)))
    let models = [try weights("m0", try model(2)), try weights("m1", try model(3))]
    let out = folder.file("out")
    let report = try Merge(
      "average", base: base, models: models, settings: .words(["dtype": "BF16"])
    ).run(to: .path(out))
    let found = try Checkpoint.open(out)
    #expect(found.tensor(named: "e")?.dtype == .bf16)
    #expect(found.tensor(named: "steps")?.dtype == .i64)
    // Rounding to 8 bits of numbers that lie anywhere between powers of two: 2^-9 / sqrt(3) times
    // something between 0.5 and 1.
    let error = try #require(report.roundingError)
    #expect(error > 0x1p-9 * 0.577 * 0.5 && error < 0x1p-9 * 0.577 * 2)
  }

  @Test func testStopped_leavesNothing() throws {
    let base = try Checkpoint.open(try saved("base", try model(1)))
    let out = folder.file("out")
    let merge = try Merge("average", base: base, models: [base])
    for stop in [0, 1] {
      let error = #expect(throws: DFMergeError.self) {
        try merge.run(
          to: .path(out), progress: { _, _ in stop == 0 }, cancelled: { stop == 0 })
      }
      #expect(error?.code == .cancelled)
      #expect(access(out, F_OK) != 0)
    }
  }

  @Test func testInputCutShort_isAnErrorAndLeavesNothing() throws {
    let path = folder.file("model.safetensors")
    try SafetensorsWriter.write(try model(2), to: path)
    let model = try Checkpoint.open(path)
    let base = try weights("base", try self.model(1))
    let merge = try Merge("average", base: base, models: [model])
    truncate(path, 1000)
    let out = folder.file("out.safetensors")
    let error = #expect(throws: DFMergeError.self) { try merge.run(to: .path(out)) }
    #expect(error?.code == .ioFailure && error?.message.contains(path) == true)
    #expect(access(out, F_OK) != 0)
  }

  @Test func testNonFinite_isRefusedOrWrittenAndReported() throws {
    let path = folder.file("out.safetensors")
    let base = try weights("base", [try tensor("w", [3], [1, .nan, 3])])
    let strict = try Merge("average", models: [base, base])
    let error = #expect(throws: DFMergeError.self) { try strict.run(to: .path(path)) }
    #expect(error?.code == .nonFinite && error?.message.contains("Element 1 of") == true)
    #expect(access(path, F_OK) != 0)
    let report = try Merge(
      "average", models: [base, base], settings: .words(["non_finite": "allow"])
    ).run(to: .path(path))
    #expect(report.hasNonFinite)
    #expect(floats(try Checkpoint.open(path).tensors[0])[1].isNaN)
  }

  @Test func testFolder_getsRecipeCardAndFilesOfTheBase() throws {
    let base = try saved("org/base", try model(1))
    try folder.write("{\"torch_dtype\": \"float32\"}", to: "org/base/config.json")
    let out = folder.file("out")
    try Merge(
      "task_arithmetic", options: .object(["coefficients": .double(0.25)]),
      base: LabelledWeights(try Checkpoint.open(base), label: "base"),
      models: [LabelledWeights(try Checkpoint.open(base), label: "first")],
      settings: .words(["dtype": "BF16"])
    ).run(to: .path(out))
    func read(_ name: String) throws -> String {
      String(decoding: try folder.read("out/\(name)"), as: UTF8.self)
    }
    #expect(try read("config.json") == "{\"torch_dtype\": \"bfloat16\"}")
    let recipe = try JSONValue(parsing: try read("dfmerge_recipe.json").utf8, what: "recipe")
    #expect(recipe["method"]?.stringValue == "task_arithmetic")
    #expect(recipe["options"]?["coefficients"]?.doubleValue == 0.25)
    #expect(recipe["models"]?.arrayValue?.first?["label"]?.stringValue == "first")
    #expect(recipe["models"]?.arrayValue?.first?["fingerprint"]?["crc32"]?.stringValue != nil)
    #expect(try read("README.md").contains("- dfmerge"))
  }

  /// The last call comes before the files have their names, so that it too can stop.
  @Test func testStoppedByTheLastCall_leavesNothing() throws {
    let base = try weights("base", try model(1))
    for name in ["out", "out.safetensors"] {
      let error = #expect(throws: DFMergeError.self) {
        try Merge("average", models: [base]).run(
          to: .path(folder.file(name)), progress: { done, total in done < total })
      }
      #expect(error?.code == .cancelled)
      #expect(access(folder.file(name), F_OK) != 0)
    }
  }
}
