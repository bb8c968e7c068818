import DFMerge
import Testing

/// What the articles of the catalogue show and the example does not: `Scripts/check-docs.py` sees to
/// it that they show these lines.
@Suite struct DocumentationTests {
  @Test func testSwiftDoor() throws {
    let temporary = TemporaryFolder()
    let folder = temporary.path
    func score(rate: Double) -> Double { 1 - (rate + 3) * (rate + 3) }

    let base = try NamedWeights(
      [TensorView(name: "w", shape: [2, 2], values: [1, 2, 3, 4])], label: "base")
    let live = try MutableTensorView(name: "w", shape: [2, 2], values: [0, 0, 0, 0])
    let parameters = try live.floats()  // to read and write in place
    let options: JSONValue = [
      "trials": 12, "tasks": ["maths", "code"], "bounds": [0, 1.5], "fisher": "none",
    ]

    let study = try Study(
      options: ["parameters": [["name": "rate", "low": -6, "high": -1]], "initial": 4],
      journal: "\(folder)/study.jsonl")
    for _ in 0..<10 {
      let trial = try study.ask()[0]
      try study.tell(trial.number, value: score(rate: trial.values[0]))
    }
    let best = try study.best().trial
    #expect(abs(best.values[0] + 3) < 0.5)

    let search = try Search(
      target: [live], base: base,
      models: [
        (
          "a",
          try NamedWeights(
            [TensorView(name: "w", shape: [2, 2], values: [3, 2, 3, 4])], label: "a")
        )
      ],
      options: options)
    try search.apply(Candidate(coefficients: [0.5], exponent: 0), host: NoHost())
    #expect(Array(parameters) == [2, 2, 3, 4])
  }

  /// For a merge that asks nothing.
  final class NoHost: SearchHost {
    func evaluate(_ trial: TrialRequest) -> Evaluation { .failed }
  }

  @Test func testMerging() async throws {
    let temporary = TemporaryFolder()
    let folder = temporary.path
    for (name, value) in [("base", 0), ("maths", 1), ("code", 2)] as [(String, Float)] {
      let tensor = try TensorView(name: "w", values: [value, 1])
      try Checkpoint.save([tensor], to: "\(folder)/\(name).safetensors")
    }
    try await DocumentationTests.merge(in: folder) { #expect((0...1).contains($0)) }
    let merged = try Checkpoint.open("\(folder)/merged.safetensors")
    let tensor = try #require(merged.tensor(named: "w"))
    // 0.4 * 1 + 0.3 * 2, in BF16.
    #expect(try tensor.dtype == .bf16 && tensor.floats() == [1, 1])
  }

  static func merge(in folder: String, show: (Double) -> Void) async throws {
    let base = try Checkpoint.open("\(folder)/base.safetensors")
    let maths = try Checkpoint.open("\(folder)/maths.safetensors")
    let code = try Checkpoint.open("\(folder)/code.safetensors")
    let merge = try Merge(
      "task_arithmetic", options: ["coefficients": ["maths": 0.4, "code": 0.3]], base: base,
      models: [LabelledWeights(maths, label: "maths"), LabelledWeights(code, label: "code")],
      settings: ["dtype": "BF16", "max_memory": "200MB"])

    let plan = try merge.plan(to: .path("\(folder)/merged.safetensors"))
    guard plan.isPossible else { return print(plan) }

    let run = merge.start(to: .path("\(folder)/merged.safetensors"))
    for await event in run.progress {
      show(Double(event.done) / Double(max(event.total, 1)))
    }
    let report = try await run.result
    #expect(report.merged == 1)
  }
}
