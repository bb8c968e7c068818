import DFMerge

/// Trains two specialists and merges them.
public struct Specialists: Sendable {
  /// What a merge has come to, on test data that nobody has trained, searched or chosen with.
  public struct Report: Sendable {
    public let tasks: [String]
    /// Accuracies by task, of each specialist.
    public let specialists: [[Double]]
    public let average: [Double]
    public let merged: [Double]
    public let result: SearchResult
  }

  let problem = Problem(seed: 3)
  let folder: String

  /// - Parameter folder: where the checkpoints are; made where it is missing.
  public init(folder: String) { self.folder = folder }

  /// Where a checkpoint is: "base", a task's name, or "merged".
  public func path(_ name: String) -> String { "\(folder)/\(name)/" }

  /// Trains the base and, from there, one specialist per task; saves them as safetensors files.
  public func train() throws {
    var random = Random(seed: 1)
    let base = try Network { name, _ in
      name.hasSuffix("weight") ? Float.random(in: -0.5...0.5, using: &random) : 0
    }
    let mixed = Problem.tasks.indices.map { problem.samples(of: $0, count: 100, seed: 1) }
    try base.train(on: zip(mixed[0], mixed[1]).flatMap { [$0, $1] }, epochs: 20, rate: 0.05)
    try Checkpoint.save(base.tensors.map(TensorView.init), to: path("base"))
    for (task, name) in Problem.tasks.enumerated() {
      let specialist = try Network(try Checkpoint.open(path("base")))
      let data = problem.samples(of: task, count: 800, seed: 2)
      try specialist.train(on: data, epochs: 10, rate: 0.03)
      try Checkpoint.save(specialist.tensors.map(TensorView.init), to: path(name))
    }
  }

  /// Searches for the best merge of the specialists and saves it.
  /// - Parameter report: hears how many trials are done, and the best score so far.
  public func merge(
    trials: Int = 40, report: (_ done: Int, _ total: Int, _ best: Double) -> Void = { _, _, _ in }
  ) async throws -> Report {
    let base = try Checkpoint.open(path("base"))
    let models = try Problem.tasks.map { ($0, try Checkpoint.open(path($0))) }

    // The candidates are written straight into this network's parameters.
    let network = try Network(base)
    let target = network.tensors
    let search = try Search(
      target: target, base: base, models: models,
      options: ["trials": JSONValue(trials), "tasks": JSONValue(Problem.tasks), "seed": 1])
    let host = NetworkHost(network, validation: data(300, 3), unlabelled: data(100, 4))

    let run = Search.start(search, journal: "\(folder)/search.jsonl", host: host)
    for await event in run.progress where event.phase == .trial {
      report(event.done, event.total, event.best ?? .nan)
    }
    let result = try await run.result  // the best candidate stands in the target now
    try Checkpoint.save(target.map(TensorView.init), to: path("merged"))

    // The plain average, for comparison: one merge, also in the background.
    let average = try Merge("average", base: base, models: models.map { $0.1 })
    let test = data(2000, 5)
    let merged = await host.accuracies(on: test)
    _ = try await average.start(to: .memory(target)).result
    return Report(
      tasks: Problem.tasks, specialists: try models.map { try accuracies($0.1, test) },
      average: await host.accuracies(on: test), merged: merged, result: result)
  }

  /// The accuracies of a checkpoint on the tasks' data.
  private func accuracies(_ weights: any WeightSource, _ data: [[Sample]]) throws -> [Double] {
    let network = try Network(weights)
    return data.map { network.accuracy(on: $0) }
  }

  private func data(_ count: Int, _ seed: UInt64) -> [[Sample]] {
    Problem.tasks.indices.map { problem.samples(of: $0, count: count, seed: seed) }
  }
}
