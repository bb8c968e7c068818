/// Named tensors to read: a checkpoint on disk or tensors borrowed from the host.
///
/// Order is data: `tensors` has one fixed order (a file's own, or the order of insertion), and
/// everything that ends in a floating-point sum follows it.
public protocol WeightSource: AnyObject, Sendable {
  /// Every tensor, names unique.
  var tensors: [TensorView] { get }
  /// The tensor called `name`, in constant time.
  func tensor(named name: String) -> TensorView?
  /// What to call this source in messages: a path, or a name that the host gave.
  var label: String { get }
  /// Where it lies on disk, a file or a folder; nil for memory.
  var location: String? { get }
  /// What its files say of themselves; empty for memory.
  var metadata: [String: String] { get }
  /// What peft knows of it, where it is an adapter; nil for models.
  var adapter: AdapterConfig? { get }
}

extension WeightSource {
  public var location: String? { nil }
  public var metadata: [String: String] { [:] }
  public var adapter: AdapterConfig? { nil }
}

/// Weights under another label, for messages and options by model.
public final class LabelledWeights: WeightSource {
  /// The weights themselves.
  public let source: any WeightSource
  public let label: String
  /// The recipes of the merges that made these weights, each with its `name`, the last one that of
  /// the weights themselves; empty for weights that are there to stay.
  package let steps: [JSONValue]

  public init(_ source: any WeightSource, label: String) {
    self.source = (source as? LabelledWeights)?.source ?? source
    self.label = label
    steps = (source as? LabelledWeights)?.steps ?? []
  }

  /// Weights that merges of one recipe have made on the way to the last one.
  package init(_ source: any WeightSource, label: String, steps: [JSONValue]) {
    self.source = (source as? LabelledWeights)?.source ?? source
    self.label = label
    self.steps = steps
  }

  public var tensors: [TensorView] { source.tensors }
  public func tensor(named name: String) -> TensorView? { source.tensor(named: name) }
  public var location: String? { source.location }
  public var metadata: [String: String] { source.metadata }
  public var adapter: AdapterConfig? { source.adapter }
}

/// Tensors held by name: borrowed from the host, or owned.
public final class NamedWeights: WeightSource {
  public let tensors: [TensorView]
  public let label: String
  private let index: [String: Int]

  /// - Throws: `.invalidArgument` when two tensors share a name.
  public init(_ tensors: [TensorView], label: String) throws(DFMergeError) {
    var index: [String: Int] = [:]
    for (position, tensor) in tensors.enumerated() {
      guard index.updateValue(position, forKey: tensor.name) == nil else {
        throw DFMergeError(
          .invalidArgument,
          "Tensor '\(tensor.name)' appears twice in \(label); give every tensor its own name.",
          context: ["tensor": tensor.name])
      }
    }
    self.tensors = tensors
    self.label = label
    self.index = index
  }

  public func tensor(named name: String) -> TensorView? { index[name].map { tensors[$0] } }
}
