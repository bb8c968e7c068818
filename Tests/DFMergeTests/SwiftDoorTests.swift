import DFMerge
import Testing

/// What a Swift program does, with `import DFMerge` and nothing else.
@Suite struct SwiftDoorTests {
  final class Host: SearchHost {
    let live: AlignedBuffer
    let goal: Float
    init(live: AlignedBuffer, goal: Float) {
      self.live = live
      self.goal = goal
    }
    func evaluate(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation {
      let weights = live.bytes.bindMemory(to: Float.self)
      return .scores([1 - Double(abs(weights[0] - goal))], variances: [])
    }
    func measureFisher(_ request: FisherRequest) throws(DFMergeError) {
      let sample = try AlignedBuffer(byteCount: 8)
      sample.bytes.bindMemory(to: Float.self).update(repeating: 2)
      try request.accumulate(
        try TensorView(
          name: "w", dtype: .f32, shape: try Shape([2]),
          bytes: UnsafeRawBufferPointer(sample.bytes)), weight: 0.5)
      #expect(try request.values(of: "w")[1] == 2)
    }
    func progress(_ event: ProgressEvent) throws(DFMergeError) -> Bool { true }
  }

  /// A search with a single task, whose first trial, the average of one model, is the model itself.
  static func singleTask(trials: Int) throws -> SearchResult {
    let live = try AlignedBuffer(byteCount: 8)
    func tensor(_ value: Float) throws -> TensorView {
      let buffer = try AlignedBuffer(byteCount: 8)
      buffer.bytes.bindMemory(to: Float.self).update(repeating: value)
      return try TensorView(
        name: "w", dtype: .f32, shape: try Shape([2]), bytes: UnsafeRawBufferPointer(buffer.bytes),
        owner: buffer)
    }
    let target = try MutableTensorView(
      name: "w", dtype: .f32, shape: try Shape([2]), bytes: live.bytes, owner: live)
    let search = try Search(
      target: [target], base: try NamedWeights([tensor(1)], label: "base"),
      models: [("tuned", try NamedWeights([tensor(3)], label: "tuned"))],
      options: ["trials": JSONValue(trials), "fisher": "none"])
    return try search.run(journal: nil, host: Host(live: live, goal: 3))
  }

  @Test func testSearchOverCheckpointFiles() throws {
    let base = TemporaryPath("base.safetensors")
    let model = TemporaryPath("model.safetensors")
    for (file, value) in [(base, Float(1)), (model, Float(3))] {
      let buffer = try AlignedBuffer(byteCount: 8)
      buffer.bytes.bindMemory(to: Float.self).update(repeating: value)
      let view = try TensorView(
        name: "w", dtype: .f32, shape: try Shape([2]), bytes: UnsafeRawBufferPointer(buffer.bytes))
      try SafetensorsWriter.write([view], to: file.path)
    }
    let live = try AlignedBuffer(byteCount: 8)
    let target = try MutableTensorView(
      name: "w", dtype: .f32, shape: try Shape([2]), bytes: live.bytes, owner: live)
    let host = Host(live: live, goal: 2)
    let search = try Search(
      target: [target], base: try Checkpoint.open(base.path),
      models: [("tuned", try Checkpoint.open(model.path))],
      options: ["trials": 15, "tasks": ["score"]])
    let result = try search.run(journal: nil, host: host)
    #expect(abs(result.best.candidate.coefficients[0] - 0.5) < 0.02)
    #expect(abs(live.bytes.bindMemory(to: Float.self)[0] - 2) < 0.05)
    #expect(MethodRegistry.infos.map(\.id).contains("df_merge"))
  }

  @Test func testCheckpoint_isSavedAsFileAndAsFolder() throws {
    let tensors = [
      try TensorView(name: "w", shape: [2, 2], values: [1, 2, 3, 4]),
      try TensorView(name: "v", values: [5]),
    ]
    let file = TemporaryPath("model.safetensors")
    try Checkpoint.save(tensors, to: file.path, metadata: ["made": "here"])
    let opened = try Checkpoint.open(file.path)
    #expect(try opened.tensor(named: "w")?.floats() == [1, 2, 3, 4])
    #expect(opened.tensor(named: "w")?.shape.dimensions == [2, 2])
    #expect(opened.metadata["made"] == "here")
    let folder = TemporaryFolder()
    try Checkpoint.save(tensors, to: folder.path)
    #expect(try Checkpoint.open(folder.path).tensor(named: "v")?.floats() == [5])
    let error = #expect(throws: DFMergeError.self) {
      try Checkpoint.save(tensors, to: file.path, copyingFilesFrom: folder.path)
    }
    #expect(error?.code == .invalidArgument)
  }

  @Test func testFisher_takesAGradientAsAnArray() throws {
    final class ArrayHost: SearchHost {
      var found: [Float] = []
      var refused: [DFMergeError.Code] = []
      func evaluate(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation { .scores([1]) }
      func measureFisher(_ request: FisherRequest) throws(DFMergeError) {
        try request.accumulate([1, -3], of: "w", weight: 0.5)
        try request.accumulate([2, 0], of: "w", weight: 0.25)
        found = Array(try request.values(of: "w"))
        for (gradient, name) in [([1], "w"), ([1, 2], "x")] as [([Float], String)] {
          do throws(DFMergeError) { try request.accumulate(gradient, of: name, weight: 1) } catch {
            refused.append(error.code)
          }
        }
      }
    }
    let host = ArrayHost()
    let search = try Search(
      target: [try MutableTensorView(name: "w", values: [0, 0])],
      base: try NamedWeights([TensorView(name: "w", values: [1, 1])], label: "base"),
      models: [("a", try NamedWeights([TensorView(name: "w", values: [2, 3])], label: "a"))],
      options: ["fisher": "static", "tasks": ["score"]])
    try search.apply(Candidate(coefficients: [0.5], exponent: 1), host: host)
    #expect(host.found == [1.5, 4.5])
    #expect(host.refused == [.shapeMismatch, .missingTensor])
  }

  @Test func testResult_isReadByName() throws {
    let result = try SwiftDoorTests.singleTask(trials: 4)
    let (best, first) = (result.best, result.trials[0])
    #expect(result.coefficient(of: "tuned") == best.candidate.coefficients[0])
    #expect(result.coefficient(of: "tuned", at: first) == 1)
    #expect(result.coefficient(of: "tuned", in: "elsewhere") == nil)
    #expect(result.coefficient(of: "other") == nil)
    let task = try #require(result.tasks.first)
    #expect(result.score(of: task) == best.scores[0])
    #expect(result.score(of: task, at: first) == first.scores[0])
    #expect(result.score(of: "other") == nil)
    let margin = try #require(result.overAverage)
    #expect(margin.number == 0 && margin.value == first.value)
    #expect(result.json["margin"]?["average"]?["difference"] == .double(margin.difference))
    #expect(result.overBaseline?.name == result.json["margin"]?["baseline"]?["name"]?.stringValue)
  }

  @Test func testResult_ofGroupsIsReadByName() throws {
    let fixture = try GroupedFixture()
    let result = try fixture.search("{\"trials\":3,\"groups\":\"layers:2\"}")
      .run(journal: nil, host: fixture)
    let all = result.best.candidate.coefficients
    for (row, model) in result.models.enumerated() {
      #expect(result.coefficient(of: model) == nil)
      for (column, group) in result.groups.enumerated() {
        #expect(
          result.coefficient(of: model, in: group) == all[row * result.groups.count + column])
      }
    }
  }
}
