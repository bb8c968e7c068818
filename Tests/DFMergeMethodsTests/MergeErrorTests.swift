import Testing

@testable import DFMergeCore
@testable import DFMergeEngine
@testable import DFMergeMethods

@Suite struct MergeErrorTests {
  let data = RandomModels(sizes: [4, 9], models: 2, seed: 2)

  @Test(arguments: [
    ("avrage", "{}", DFMergeError.Code.unknownName), ("average", "{\"weight\":1}", .unknownName),
    ("average", "{\"weights\":[1,-1]}", .invalidOption),
    ("fisher", "{\"weights\":0}", .invalidOption), ("df_merge", "{\"exponent\":2}", .invalidOption),
    ("task_arithmetic", "{\"coefficients\":[1]}", .invalidOption),
  ])
  func testBadMethodOrOption_isNamed(
    _ method: String, _ options: String, _ code: DFMergeError.Code
  ) {
    let error = #expect(throws: DFMergeError.self) { try data.merge(method, options) }
    #expect(error?.code == code)
  }

  @Test func testOptionAmongTheSettings_isSentToTheOptions() throws {
    let model = try data.weights(data.base, label: "model")
    let error = #expect(throws: DFMergeError.self) {
      try Merge("average", models: [model], settings: .object(["weights": .double(1)]))
    }
    #expect(error?.code == .unknownName)
    #expect(
      error?.message == "'weights' is an option of method 'average' and no setting of a merge; "
        + "pass it among the method's options.")
  }

  @Test func testFisherSets_areCountedAgainstTheModels() throws {
    let model = try data.weights(data.base, label: "model")
    let without = #expect(throws: DFMergeError.self) { try Merge("fisher", models: [model]) }
    #expect(
      without?.message == "Method 'fisher' was given 0 sets of Fisher values for 1 models; pass "
        + "one for each model, in the models' order.")
    let with = #expect(throws: DFMergeError.self) {
      try Merge("average", models: [model], fishers: [model])
    }
    #expect(
      with?.message == "Method 'average' takes no Fisher values and no Gram matrices but was given "
        + "1 set; leave them out.")
  }

  @Test func testEveryMismatch_isListedAtOnce() throws {
    let base = try data.weights(data.base, label: "base")
    let short = try data.weights([[1, 2, 3], data.base[1]], label: "short")
    let sparse = try data.weights([data.base[0]], label: "sparse")
    let buffers = [try AlignedBuffer(byteCount: 16), try AlignedBuffer(byteCount: 36)]
    let target = [
      try MutableTensorView(
        name: "t0", dtype: .f32, shape: try Shape([4]), bytes: buffers[0].bytes),
      try MutableTensorView(
        name: "t1", dtype: .f32, shape: try Shape([9]), bytes: buffers[1].bytes),
    ]
    let error = #expect(throws: DFMergeError.self) {
      try Merge("task_arithmetic", base: base, models: [short, sparse]).run(to: .memory(target))
    }
    #expect(error?.message.contains("'t0' is [3] in short but [4] in base") == true)
    #expect(error?.message.contains("'t1' is missing from sparse") == true)
    #expect(buffers[0].bytes.allSatisfy { $0 == 0 })
  }

  @Test(arguments: [Float.nan, -1, .infinity])
  func testBadFisherValue_isLocated(_ bad: Float) {
    var fishers = data.fishers
    fishers[1][1][5] = bad
    let error = #expect(throws: DFMergeError.self) { try data.merge("df_merge", fishers: fishers) }
    #expect(error?.code == .nonFinite)
    #expect(error?.message.contains("element 5 of tensor 't1'") == true)
    #expect(error?.message.contains("'m1'") == true)
  }

  /// Tiles are checked block by block, and a block model by model: of two faults, the one in the
  /// earlier block is named, and in one block that of the earlier model.
  @Test(arguments: [16_383, 16_384, 40_001, 65_535, 69_999])
  func testBadFisherValue_isLocatedInALongTensor(_ place: Int) throws {
    let long = RandomModels(sizes: [70_000], models: 2, seed: 3)
    var fishers = long.fishers
    fishers[1][0][place] = .nan
    fishers[0][0][69_999] = -1
    let error = #expect(throws: DFMergeError.self) { try long.merge("df_merge", fishers: fishers) }
    #expect(error?.message.contains("element \(place) of tensor 't0'") == true)
    #expect(error?.message.contains(place == 69_999 ? "'m0'" : "'m1'") == true)
  }

  @Test func testLongTensor_isMergedToItsEnd() throws {
    let long = RandomModels(sizes: [70_000], models: 2, seed: 3)
    let merged = try long.merge("task_arithmetic", "{\"coefficients\":[0.25,0.5]}")[0]
    let isRight = (0..<70_000).allSatisfy { i in
      let base = Double(long.base[0][i])
      let sum =
        (Double(long.models[0][0][i]) - base) * 0.25 + (Double(long.models[1][0][i]) - base) * 0.5
      return merged[i] == Float(base + sum)
    }
    #expect(isRight)
  }

  @Test func testMissingFisherOfOneModel_isRefusedAndOfAllMeansNone() throws {
    var fishers = data.fishers
    fishers[1] = [fishers[1][0]]
    let error = #expect(throws: DFMergeError.self) { try data.merge("df_merge", fishers: fishers) }
    #expect(error?.code == .missingTensor)
    fishers[0] = [fishers[0][0]]
    let merged = try data.merge("df_merge", fishers: fishers)
    #expect(merged[1] == (try data.merge("task_arithmetic"))[1])
  }

  @Test func testOtherTypes_areCopiedFromTheBase() throws {
    let numbers = try AlignedBuffer(byteCount: 16)
    let out = try AlignedBuffer(byteCount: 16)
    numbers.bytes.bindMemory(to: Int64.self)[1] = 77
    let view = try TensorView(
      name: "n", dtype: .i64, shape: try Shape([2]), bytes: UnsafeRawBufferPointer(numbers.bytes))
    let source = try NamedWeights([view], label: "base")
    try Merge("average", base: source, models: [source]).run(
      to: .memory([
        try MutableTensorView(name: "n", dtype: .i64, shape: try Shape([2]), bytes: out.bytes)
      ]))
    #expect(out.bytes.bindMemory(to: Int64.self)[1] == 77)
  }

  @Test func testCancelled_stopsTheMerge() throws {
    let base = try data.weights(data.base, label: "base")
    let buffer = try AlignedBuffer(byteCount: 16)
    let error = #expect(throws: DFMergeError.self) {
      try Merge("average", models: [base]).run(
        to: .memory([
          try MutableTensorView(
            name: "t0", dtype: .f32, shape: try Shape([4]), bytes: buffer.bytes)
        ]), cancelled: { true })
    }
    #expect(error?.code == .cancelled)
  }

  @Test func testRegistry_isCompleteAndDocumented() {
    let ids = MethodRegistry.infos.map(\.id)
    #expect(ids == ids.sorted() && Set(ids).count == ids.count)
    for info in MethodRegistry.infos {
      #expect(!info.title.isEmpty && !info.formula.isEmpty && !info.summary.isEmpty)
      #expect(info.source.contains("arXiv") || info.source.contains("No paper"))
      for option in info.options { #expect(!option.summary.isEmpty) }
    }
  }
}
