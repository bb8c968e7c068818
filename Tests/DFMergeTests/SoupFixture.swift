@testable import DFMerge
@testable import DFMergeCore
@testable import DFMergeEngine

/// Models of a few elements, and a host that knows the score of every soup of them.
final class SoupFixture: SearchHost {
  let names: [String]
  let target: [MutableTensorView]
  let values: [[Float]]
  private let base: NamedWeights
  private let models: [(name: String, weights: any WeightSource)]
  private let buffers: [AlignedBuffer]
  /// The score of the models that are averaged; nil for a failed evaluation.
  var score: ([String]) -> Double?
  /// Called before each evaluation; throws to stop.
  var beforeEvaluation: (Int) throws(DFMergeError) -> Void = { _ throws(DFMergeError) in }
  /// What was evaluated, in order.
  private(set) var seen: [[String]] = []
  /// Whether every candidate was the average of its models.
  private(set) var isAverage = true

  init(_ values: [[Float]], score: @escaping ([String]) -> Double?) throws {
    self.values = values
    self.score = score
    names = values.indices.map { ["a", "b", "c", "d", "e", "f"][$0] }
    let count = values[0].count
    var made: [AlignedBuffer] = []
    func view(_ values: [Float]) throws -> TensorView {
      let buffer = try AlignedBuffer(byteCount: values.count * 4)
      values.withUnsafeBytes { buffer.bytes.copyMemory(from: $0) }
      made.append(buffer)
      return try TensorView(
        name: "w", dtype: .f32, shape: try Shape([values.count]),
        bytes: UnsafeRawBufferPointer(buffer.bytes), owner: buffer)
    }
    base = try NamedWeights([try view([Float](repeating: 9, count: count))], label: "base")
    var sources: [(name: String, weights: any WeightSource)] = []
    for (name, own) in zip(names, values) {
      sources.append((name, try NamedWeights([try view(own)], label: name)))
    }
    models = sources
    let memory = try AlignedBuffer(byteCount: count * 4)
    made.append(memory)
    target = [
      try MutableTensorView(
        name: "w", dtype: .f32, shape: try Shape([count]), bytes: memory.bytes, owner: memory)
    ]
    buffers = made
  }

  /// Four models; the score falls with the distance of the average from that of a, b and d.
  convenience init() throws {
    let values: [[Float]] = [[6, 5, 0.1], [5, 6, 0.2], [15, 15, 0.3], [4, 4, 0.7]]
    try self.init(values) { _ in nil }
    score = { [values] members in
      let places = members.compactMap { "abcd".map(String.init).firstIndex(of: $0) }
      var distance = 0.0
      for element in 0..<3 {
        let mean = places.reduce(0) { $0 + Double(values[$1][element]) } / Double(places.count)
        let goal = [0, 1, 3].reduce(0) { $0 + Double(values[$1][element]) } / 3
        distance += (mean - goal) * (mean - goal)
      }
      return 1 - distance / 100
    }
  }

  var merged: [Float] { Array(target[0].bytes.bindMemory(to: Float.self)) }

  func search(_ options: String = "{}") throws -> sending Search {
    var members = try JSONValue(parsing: options.utf8, what: "options").objectValue ?? [:]
    members["strategy"] = members["strategy"] ?? .string("greedy_soup")
    return try Search(target: target, base: base, models: models, options: .object(members))
  }

  func evaluate(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation {
    try beforeEvaluation(trial.number)
    let places = names.indices.filter { trial.coefficients[$0] > 0 }
    seen.append(places.map { names[$0] })
    for (element, found) in merged.enumerated() {
      let mean = places.reduce(0) { $0 + Double(values[$1][element]) } / Double(places.count)
      if abs(Double(found) - mean) > 1e-6 * max(1, abs(mean)) { isAverage = false }
    }
    guard let score = score(places.map { names[$0] }) else { return .failed }
    return .scores([score])
  }
}
