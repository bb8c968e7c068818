import Glibc

@testable import DFMerge
@testable import DFMergeCore

/// A small problem whose best coefficients are known: two models, and a score that falls with the
/// squared distance from 0.6 * tau_a + 0.2 * tau_b.
final class SearchFixture: SearchHost {
  let target: [MutableTensorView]
  let base: NamedWeights
  let models: [(name: String, weights: any WeightSource)]
  private let buffers: [AlignedBuffer]
  private let goal: [Float]
  /// Called before each evaluation; throws to stop, or answers false for a failed trial.
  var beforeEvaluation: (Int) throws(DFMergeError) -> Bool = { _ throws(DFMergeError) in true }
  /// What the Fisher callback adds, given model, coefficient and element.
  var fisherValue: (Int, Double, Int) -> Float = { model, coefficient, element in
    Float((element + model) % 3) + Float(coefficient)
  }
  /// Called before each first stage; throws to stop, or answers false for a failed one.
  var beforeSubset: (Int) throws(DFMergeError) -> Bool = { _ throws(DFMergeError) in true }
  private(set) var evaluations = 0
  private(set) var subsets = 0
  private(set) var fisherCalls: [(model: Int, coefficient: Double)] = []

  init() throws {
    let count = 37
    var random = CounterRandom(seed: 5, purpose: "fixture")
    func weights(around values: [Float], by step: Float) -> [Float] {
      values.map { $0 + step * Float(random.uniform() - 0.5) }
    }
    let theta0 = weights(around: [Float](repeating: 0, count: count), by: 2)
    let a = weights(around: theta0, by: 1)
    let b = weights(around: theta0, by: 1)
    goal = (0..<count).map { theta0[$0] + 0.6 * (a[$0] - theta0[$0]) + 0.2 * (b[$0] - theta0[$0]) }
    var made: [AlignedBuffer] = []
    func view(_ values: [Float]) throws -> TensorView {
      let buffer = try AlignedBuffer(byteCount: values.count * 4)
      values.withUnsafeBytes { buffer.bytes.copyMemory(from: $0) }
      made.append(buffer)
      return try TensorView(
        name: "w", dtype: .f32, shape: try Shape([values.count]),
        bytes: UnsafeRawBufferPointer(buffer.bytes), owner: buffer)
    }
    base = try NamedWeights([try view(theta0)], label: "base")
    models = [
      ("a", try NamedWeights([try view(a)], label: "a")),
      ("b", try NamedWeights([try view(b)], label: "b")),
    ]
    let memory = try AlignedBuffer(byteCount: count * 4)
    made.append(memory)
    target = [
      try MutableTensorView(
        name: "w", dtype: .f32, shape: try Shape([count]), bytes: memory.bytes, owner: memory)
    ]
    buffers = made
  }

  /// What stands in the target.
  var merged: [Float] { Array(target[0].bytes.bindMemory(to: Float.self)) }

  func search(_ options: String = "{}") throws -> sending Search {
    var members = try JSONValue(parsing: options.utf8, what: "options").objectValue ?? [:]
    members["tasks"] = members["tasks"] ?? .array([.string("a"), .string("b")])
    return try Search(target: target, base: base, models: models, options: .object(members))
  }

  func evaluate(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation {
    guard try beforeEvaluation(trial.number) else { return .failed }
    evaluations += 1
    let distance = zip(merged, goal).reduce(Float(0)) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    let score = 1 - Double(distance)
    return .scores([score, score - 0.1], variances: [1e-4, .nan])
  }

  /// The same scores on a part of the data: moved a little, and not alike for all candidates.
  func evaluateSubset(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation {
    guard try beforeSubset(trial.number) else { return .failed }
    subsets += 1
    let distance = zip(merged, goal).reduce(Float(0)) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    let score = 0.97 - 1.1 * Double(distance)
    return .scores([score, score - 0.1], variances: [1e-3, .nan])
  }

  func measureFisher(_ request: FisherRequest) throws(DFMergeError) {
    fisherCalls.append((request.model, request.coefficient))
    let values = try request.values(of: "w")
    for element in values.indices {
      values[element] += fisherValue(request.model, request.coefficient, element)
    }
  }

  func progress(_ event: ProgressEvent) throws(DFMergeError) -> Bool { true }
}

/// A host whose scores are a function of the trial's number.
final class ScriptedHost: SearchHost {
  private let scores: (Int) -> [Double]
  init(_ scores: @escaping (Int) -> [Double]) { self.scores = scores }

  func evaluate(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation {
    .scores(scores(trial.number), variances: [])
  }
  func measureFisher(_ request: FisherRequest) throws(DFMergeError) {}
  func progress(_ event: ProgressEvent) throws(DFMergeError) -> Bool { true }
}

/// A path in the temporary folder that is removed with the object.
final class TemporaryPath {
  let path: String
  init(_ name: String) {
    var template = Array("/tmp/dfmerge-test-XXXXXX".utf8CString)
    let folder = mkdtemp(&template).map { String(cString: UnsafePointer($0)) } ?? "/tmp"
    path = folder + "/" + name
  }
  deinit {
    unlink(path)
    if let slash = path.lastIndex(of: "/") { rmdir(String(path[..<slash])) }
  }

  var bytes: [UInt8] {
    guard let file = fopen(path, "rb") else { return [] }
    defer { fclose(file) }
    var all: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 4096)
    while case let count = fread(&block, 1, block.count, file), count > 0 { all += block[..<count] }
    return all
  }

  func write(_ bytes: some Sequence<UInt8>) {
    guard let file = fopen(path, "wb") else { return }
    let all = Array(bytes)
    fwrite(all, 1, all.count, file)
    fclose(file)
  }

  /// Lines that say what happened: all but times and sessions.
  var reproducibleLines: [String] {
    String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init).filter {
      !$0.contains("\"type\":\"timing\"") && !$0.contains("\"type\":\"session\"")
    }
  }
}

/// A folder that is removed with the object, and the files in it.
final class TemporaryFolder {
  let path: String
  init() {
    var template = Array("/tmp/dfmerge-test-XXXXXX".utf8CString)
    path = mkdtemp(&template).map { String(cString: UnsafePointer($0)) } ?? "/tmp/dfmerge-test"
  }
  deinit {
    guard let folder = opendir(path) else { return }
    while let entry = readdir(folder) {
      withUnsafePointer(to: &entry.pointee.d_name) {
        _ = $0.withMemoryRebound(to: CChar.self, capacity: 256) {
          unlink(path + "/" + String(cString: $0))
        }
      }
    }
    closedir(folder)
    rmdir(path)
  }
}
