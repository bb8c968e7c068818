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
      options: .object(["trials": .int(Int64(trials)), "fisher": .string("none")]))
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
      options: .object(["trials": .int(15), "tasks": .array([.string("score")])]))
    let result = try search.run(journal: nil, host: host)
    #expect(abs(result.best.candidate.coefficients[0] - 0.5) < 0.02)
    #expect(abs(live.bytes.bindMemory(to: Float.self)[0] - 2) < 0.05)
    #expect(MethodRegistry.infos.map(\.id).contains("df_merge"))
  }
}
