import Glibc

@testable import DFMerge
@testable import DFMergeCore
@testable import DFMergeEngine

/// Two models of six tensors, of which the best coefficients differ between the early and the late
/// layers; one tensor is of another type.
final class GroupedFixture: SearchHost {
  static let names = ["embed", "h.0.w", "h.1.w", "h.2.w", "h.3.w", "norm"]
  static let sizes = [70_001, 33, 64, 1, 257, 5]
  /// By group (early, late, rest), one coefficient per model.
  static let goal: [[Double]] = [[0.9, 0.1], [0.2, 0.7], [0.5, 0.5]]
  static let groupOf = [2, 0, 0, 1, 1, 2]

  let target: [MutableTensorView]
  let base: NamedWeights
  let models: [(name: String, weights: any WeightSource)]
  private(set) var theta0: [[Float]] = []
  private(set) var tuned: [[[Float]]] = []
  private var buffers: [AlignedBuffer] = []
  /// Called with each request before its values are filled in.
  var onFisher: (FisherRequest) -> Void = { _ in }

  init() throws {
    var random = CounterRandom(seed: 8, purpose: "grouped fixture")
    var made: [AlignedBuffer] = []
    func view(_ values: [Float], _ name: String) throws -> TensorView {
      let buffer = try AlignedBuffer(byteCount: values.count * 4)
      values.withUnsafeBytes { buffer.bytes.copyMemory(from: $0) }
      made.append(buffer)
      return try TensorView(
        name: name, dtype: .f32, shape: try Shape([values.count]),
        bytes: UnsafeRawBufferPointer(buffer.bytes), owner: buffer)
    }
    for size in GroupedFixture.sizes {
      theta0.append((0..<size).map { _ in Float(random.uniform() - 0.5) })
    }
    for _ in 0..<2 {
      tuned.append(theta0.map { $0.map { $0 + Float(random.uniform() - 0.5) } })
    }
    base = try NamedWeights(
      try zip(theta0, GroupedFixture.names).map { try view($0, $1) }, label: "base")
    models = try zip(["a", "b"], tuned).map { name, tensors in
      (
        name,
        try NamedWeights(
          try zip(tensors, GroupedFixture.names).map { try view($0, $1) }, label: name)
      )
    }
    target = try zip(GroupedFixture.names, GroupedFixture.sizes).map { name, size in
      let memory = try AlignedBuffer(byteCount: size * 4)
      made.append(memory)
      return try MutableTensorView(
        name: name, dtype: .f32, shape: try Shape([size]), bytes: memory.bytes)
    }
    buffers = made
  }

  func merged(_ tensor: Int) -> [Float] {
    Array(target[tensor].bytes.bindMemory(to: Float.self))
  }

  func search(_ options: String) throws -> Search {
    try Search(
      target: target, base: base, models: models,
      options: try JSONValue(parsing: options.utf8, what: "options"))
  }

  func evaluate(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation {
    var distance = 0.0
    for (index, group) in GroupedFixture.groupOf.enumerated() {
      let goal = GroupedFixture.goal[group]
      let values = merged(index)
      for element in values.indices.prefix(200) {
        let start = theta0[index][element]
        var wanted = Double(start)
        for model in 0..<2 {
          wanted += goal[model] * Double(tuned[model][index][element] - start)
        }
        distance += (Double(values[element]) - wanted) * (Double(values[element]) - wanted)
      }
    }
    return .scores([1 - distance / 10], variances: [])
  }

  /// Values that depend on model, place, tensor and element.
  static func fisher(_ model: Int, _ place: Double, _ tensor: Int, _ element: Int) -> Float {
    Float((element + model + tensor) % 3) + Float(place) + 0.25
  }

  func measureFisher(_ request: FisherRequest) throws(DFMergeError) {
    onFisher(request)
    for (index, name) in GroupedFixture.names.enumerated() {
      // A search of one group stands at one place.
      let group = min(GroupedFixture.groupOf[index], request.coefficients.count - 1)
      let place = request.coefficients[group]
      let values = try request.values(of: name)
      for element in values.indices {
        values[element] += GroupedFixture.fisher(request.model, place, index, element)
      }
    }
  }

  func progress(_ event: ProgressEvent) throws(DFMergeError) -> Bool { true }
}
