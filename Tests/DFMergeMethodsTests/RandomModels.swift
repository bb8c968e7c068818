@testable import DFMergeCore
@testable import DFMergeEngine

/// Random base, models and Fisher values in F32, as arrays and as weights.
final class RandomModels {
  let sizes: [Int]
  let base: [[Float]]
  /// By model and tensor.
  let models: [[[Float]]]
  let fishers: [[[Float]]]
  private var buffers: [AlignedBuffer] = []

  /// - Parameters:
  ///   - grid: base and changes are multiples of it; nil is any float.
  ///   - nanIn: a tensor of a model whose element 3 is NaN.
  init(
    sizes: [Int], models count: Int, seed: UInt64, grid: Float? = nil,
    nanIn: (model: Int, tensor: Int)? = nil
  ) {
    var random = CounterRandom(seed: seed, purpose: "models")
    func values(_ size: Int, _ scale: Float) -> [Float] {
      (0..<size).map { _ in
        let value = scale * Float(random.uniform() - 0.5)
        return grid.map { (value / $0).rounded() * $0 } ?? value
      }
    }
    self.sizes = sizes
    let base = sizes.map { values($0, 2) }
    self.base = base
    var models = (0..<count).map { _ in
      base.map { tensor in zip(tensor, values(tensor.count, 0.2)).map { $0 + $1 } }
    }
    if let nanIn { models[nanIn.model][nanIn.tensor][3] = .nan }
    self.models = models
    fishers = (0..<count).map { _ in
      sizes.map { size in
        // Fisher values span many orders of magnitude, zeros included.
        (0..<size).map { _ in
          let draw = Float(random.uniform())
          return draw < 0.1 ? 0 : draw * draw * draw * draw * 1e-3
        }
      }
    }
  }

  /// Given tensors without Fisher values.
  init(base: [[Float]], models: [[[Float]]]) {
    sizes = base.map(\.count)
    self.base = base
    self.models = models
    fishers = []
  }

  func weights(_ tensors: [[Float]], label: String) throws -> NamedWeights {
    var views: [TensorView] = []
    for (index, values) in tensors.enumerated() {
      let buffer = try AlignedBuffer(byteCount: values.count * 4)
      values.withUnsafeBytes { buffer.bytes.copyMemory(from: $0) }
      views.append(
        try TensorView(
          name: "t\(index)", dtype: .f32, shape: try Shape([values.count]),
          bytes: UnsafeRawBufferPointer(buffer.bytes), owner: buffer))
    }
    return try NamedWeights(views, label: label)
  }

  /// Runs a method and returns the written tensors.
  func merge(
    _ method: String, _ options: String = "{}", order: [Int]? = nil, threads: Int = 2,
    fishers given: [[[Float]]]? = nil
  ) throws -> [[Float]] {
    let order = order ?? Array(models.indices)
    var target: [MutableTensorView] = []
    for (index, size) in sizes.enumerated() {
      let buffer = try AlignedBuffer(byteCount: size * 4)
      buffers.append(buffer)
      target.append(
        try MutableTensorView(
          name: "t\(index)", dtype: .f32, shape: try Shape([size]), bytes: buffer.bytes))
    }
    let needsFisher = method == "fisher" || method == "df_merge"
    try Merge(
      method, options: try JSONValue(parsing: options.utf8, what: "options"),
      base: try weights(base, label: "base"),
      models: try order.map { try weights(models[$0], label: "m\($0)") },
      fishers: needsFisher
        ? try order.map { try weights((given ?? fishers)[$0], label: "f\($0)") } : [],
      settings: .object(["threads": .int(Int64(threads))])
    ).run(to: .memory(target))
    return target.map { Array($0.bytes.bindMemory(to: Float.self)) }
  }
}

/// The largest difference relative to the size of the terms that were added.
func relativeError(_ found: [[Float]], _ expected: [[Double]], scale: [[Double]]) -> Double {
  var worst = 0.0
  for (index, tensor) in found.enumerated() {
    for (element, value) in tensor.enumerated() {
      let size = max(abs(expected[index][element]), scale[index][element])
      worst = max(worst, abs(Double(value) - expected[index][element]) / max(size, 1e-30))
    }
  }
  return worst
}
