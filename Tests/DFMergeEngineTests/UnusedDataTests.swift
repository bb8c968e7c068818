import DFMergeCore
import DFMergeEngine
import Testing

/// Fisher values and Gram matrices whose names are not those of the tensors.
@Suite struct UnusedDataTests {
  private func merge(_ method: String, _ data: [[TensorView]]) throws -> Merge {
    let models = try [Float(1), 3].enumerated().map { number, value in
      try weights(
        "m\(number)",
        [try tensor("w.weight", [2, 2], ramp(4, from: value)), try tensor("b", [2], [value, 1])])
    }
    return try Merge(
      method, base: method == "df_merge" ? models[0] : nil, models: models,
      fishers: try data.enumerated().map { try weights("data \($0)", $1) })
  }

  private func ones(_ name: String) throws -> TensorView {
    try tensor(name, [2, 2], [2, 1, 1, 2])
  }

  @Test(arguments: ["fisher", "df_merge", "regmean"], ["model.w.weight", "w", "other"])
  func testNoNameFits_isRefused(_ method: String, _ name: String) throws {
    let merge = try merge(method, try (0..<2).map { _ in [try ones(name)] })
    let plan = try merge.plan(to: .none)
    #expect(!plan.isPossible)
    let problem = try #require(plan.problems.first)
    #expect(problem.contains("of data 0 is that of a tensor"), "\(problem)")
    #expect(problem.contains("they are of '\(name)', and m0 has 'w.weight', 'b'"), "\(problem)")
    #expect(problem.contains("'\(name)' may be meant for 'w.weight'") == (name != "other"))
    #expect(plan.remedies.contains { $0.contains("go by the names of the tensors") })
    let error = #expect(throws: DFMergeError.self) {
      try merge.run(to: .memory(try target(like: [try ones("w.weight")])))
    }
    #expect(error?.code == .missingTensor)
  }

  @Test(arguments: ["fisher", "df_merge", "regmean"])
  func testNoValuesAtAll_areRefused(_ method: String) throws {
    let plan = try merge(method, [[], []]).plan(to: .none)
    #expect(plan.problems.first?.contains("of data 0 are of no tensor at all") == true)
  }

  /// No Gram matrix can be had of vectors, so that an empty set says nothing.
  @Test func testNoGramMatricesOfVectors_areFine() throws {
    let models = try [Float(1), 3].map { value in
      try weights("m", [try tensor("b", [2], [value, 1])])
    }
    let none = try (0..<2).map { try weights("data \($0)", []) }
    let merge = try Merge("regmean", base: nil, models: models, fishers: none)
    #expect(try merge.plan(to: .none).isPossible)
  }

  @Test func testOneModelsNamesFit_theOthersAreRefused() throws {
    let plan = try merge("regmean", [[try ones("w.weight")], [try ones("w")]]).plan(to: .none)
    #expect(plan.problems.contains { $0.contains("Gram matrices of data 1 is that of a tensor") })
    #expect(!plan.problems.contains { $0.contains("no name of the Gram matrices of data 0") })
  }

  @Test func testSomeNamesFitNone_areNoted() throws {
    let data = [try ones("w.weight"), try ones("x"), try ones("y")]
    let plan = try merge("regmean", [data, [try ones("w.weight"), try ones("z")]]).plan(to: .none)
    #expect(plan.isPossible)
    #expect(
      plan.notes == [
        "of the Gram matrices of data 0, 2 of 3 are of no tensor of the models, the first of 'x'; "
          + "they are not used",
        "of the Gram matrices of data 1, 1 of 2 is of no tensor of the models, 'z'; it is not used",
      ])
  }

  /// Of tensors that are copied or not asked for, values are not used and yet no mistake.
  @Test func testNamesOfTensorsThatAreNotMerged_areNoMistake() throws {
    let base = try weights("base", [try tensor("w", [2], [1, 2]), try tensor("n", [2], [5, 6])])
    let model = try weights("m", [try tensor("w", [2], [3, 4])])
    let fisher = try weights("f", [try tensor("n", [2], [1, 1])])
    let merge = try Merge(
      "df_merge", base: base, models: [model], fishers: [fisher],
      settings: .object(["missing": .string("base")]))
    let plan = try merge.plan(to: .none)
    #expect(plan.isPossible && plan.copied == 1)
    #expect(!plan.notes.contains { $0.contains("not used") })
  }
}
