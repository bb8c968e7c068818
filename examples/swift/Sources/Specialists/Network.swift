import DFMerge
import Glibc

/// A small classifier, x -> tanh(W1 x + b1) -> softmax(W2 h + b2), whose parameters lie in tensors
/// that a search can write into.
final class Network {
  static let (inputs, hidden, classes) = (8, 32, 4)
  static let shapes = [
    "hidden.weight": [hidden, inputs], "hidden.bias": [hidden],
    "output.weight": [classes, hidden], "output.bias": [classes],
  ]

  let tensors: [MutableTensorView]
  private let (w1, b1): (UnsafeMutableBufferPointer<Float>, UnsafeMutableBufferPointer<Float>)
  private let (w2, b2): (UnsafeMutableBufferPointer<Float>, UnsafeMutableBufferPointer<Float>)

  /// - Parameter value: the first value of each parameter.
  init(_ value: (_ name: String, _ index: Int) throws -> Float) throws {
    tensors = try Network.shapes.sorted { $0.key < $1.key }.map { name, shape in
      let count = shape.reduce(1, *)
      return try MutableTensorView(
        name: name, shape: shape, values: try (0..<count).map { try value(name, $0) })
    }
    (b1, w1) = (try tensors[0].floats(), try tensors[1].floats())
    (b2, w2) = (try tensors[2].floats(), try tensors[3].floats())
  }

  /// The network of a checkpoint.
  convenience init(_ weights: any WeightSource) throws {
    let values = Dictionary(
      uniqueKeysWithValues: try weights.tensors.map { ($0.name, try $0.floats()) })
    try self.init { name, index in values[name]?[index] ?? .nan }
  }

  func probabilities(_ x: [Float]) -> (hidden: [Float], classes: [Float]) {
    let h = (0..<Network.hidden).map { row in
      tanh(x.indices.reduce(b1[row]) { $0 + w1[row * x.count + $1] * x[$1] })
    }
    let powers = (0..<Network.classes).map { row in
      exp(h.indices.reduce(b2[row]) { $0 + w2[row * h.count + $1] * h[$1] })
    }
    let sum = powers.reduce(0, +)
    return (h, powers.map { $0 / sum })
  }

  /// The gradient of -log p(label | x), by name of the parameter.
  func gradient(_ x: [Float], label: Int) -> [String: [Float]] {
    let (h, p) = probabilities(x)
    let delta = p.indices.map { p[$0] - ($0 == label ? 1 : 0) }
    let inner = h.indices.map { unit in
      delta.indices.reduce(Float(0)) { $0 + delta[$1] * w2[$1 * h.count + unit] }
        * (1 - h[unit] * h[unit])
    }
    return [
      "hidden.weight": inner.flatMap { unit in x.map { unit * $0 } }, "hidden.bias": inner,
      "output.weight": delta.flatMap { unit in h.map { unit * $0 } }, "output.bias": delta,
    ]
  }

  /// Stochastic gradient descent.
  func train(on data: [Sample], epochs: Int, rate: Float) throws {
    let parameters = try tensors.map { ($0.name, try $0.floats()) }
    for _ in 0..<epochs {
      for sample in data {
        let gradient = gradient(sample.x, label: sample.label)
        for (name, values) in parameters {
          for (index, slope) in (gradient[name] ?? []).enumerated() {
            values[index] -= rate * slope
          }
        }
      }
    }
  }

  /// The share of samples whose most probable class is their label.
  func accuracy(on data: [Sample]) -> Double {
    let right = data.filter { sample in
      let p = probabilities(sample.x).classes
      return p[sample.label] == p.max()
    }
    return Double(right.count) / Double(data.count)
  }
}
