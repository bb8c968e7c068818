import DFMergeCore
import DFMergeKernels

/// How a method makes one tensor of the result.
package enum TensorAssembly: Sendable {
  /// From the elements at the same place of inputs of the same shape, tile by tile.
  case elementwise
  /// In one tile, from whole tensors of the inputs.
  case whole(WholeTensor)
  /// Not at all: what does not fit, a sentence without its full stop.
  case refused(String)
}

/// A tensor of the result that is made in one tile. Tiles of it have every input from its first
/// element to its last, whatever the shapes; statistics leave it out.
package struct WholeTensor: Sendable {
  /// The shape of the result.
  package let shape: Shape
  /// Tensors of every model that are read along, by name: ``InputTile/partners``.
  package let partners: [String]
  /// What the call of ``MergeMethod/merge(_:)`` takes, in place of
  /// ``MergeMethod/memory(count:shape:)``.
  package let memory: TileMemory

  package init(shape: Shape, partners: [String] = [], memory: TileMemory = TileMemory()) {
    self.shape = shape
    self.partners = partners
    self.memory = memory
  }
}

/// What the inputs have for a tensor of the result, before anything is read.
package struct TensorOutline {
  package let name: String
  /// That of the base, or of the first model without a base.
  package let shape: Shape
  /// One per model; nil where a model lacks the tensor.
  package let models: [Shape?]
  /// What comes with each model for it: Fisher values, or a Gram matrix. One per model; nil where
  /// there is none; empty for methods that take none.
  package let data: [Shape?]
  /// What the product of the two LoRA factors of this tensor's module is multiplied by, one per
  /// model; empty unless all models are adapters with a configuration and this is a factor.
  package let scalings: [Double]
  private let others: (String) -> [Shape?]

  /// - Parameter others: the shapes of the tensor called so in each model.
  package init(
    name: String, shape: Shape, models: [Shape?], data: [Shape?] = [], scalings: [Double] = [],
    others: @escaping (String) -> [Shape?] = { _ in [] }
  ) {
    self.name = name
    self.shape = shape
    self.models = models
    self.data = data
    self.scalings = scalings
    self.others = others
  }

  /// The shapes of a tensor that every model must have which has this one; nil where one lacks it.
  package func partners(_ other: String) -> [Shape]? {
    var found: [Shape] = []
    for (own, shape) in zip(models, others(other)) where own != nil {
      guard let shape else { return nil }
      found.append(shape)
    }
    return found
  }
}

/// A whole tensor of one model.
package struct WholeInput: Sendable {
  package let elements: Elements
  package let shape: Shape

  package init(_ elements: Elements, shape: Shape) {
    self.elements = elements
    self.shape = shape
  }
}
