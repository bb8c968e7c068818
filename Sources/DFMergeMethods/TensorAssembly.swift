import DFMergeCore
import DFMergeKernels

/// How a method makes one tensor of the result.
package enum TensorAssembly: Sendable {
  /// From the elements at the same place of inputs of the same shape, tile by tile.
  case elementwise
  /// From the elements at the same place of other tensors or of parts of them, tile by tile.
  case gathered(GatheredTensor)
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

/// A tensor of the result that is made elementwise from tensors of any names, or of runs of their
/// elements.
///
/// Tiles have them as `models`: the first model's in the order of `parts`, then the second's, without
/// the base. A tensor that a model has under two of the names comes once. Statistics leave such
/// tensors out, and nothing comes with the models. Tensors of the same parts, shape, type and options
/// are computed once and written wherever they belong, so that ``MergeMethod/merge(_:)`` must not go
/// by the name: they are the tied tensors of the report.
package struct GatheredTensor: Sendable {
  /// A run of elements of one tensor, as many as the result has.
  package struct Part: Hashable, Sendable {
    package let name: String
    /// What the tensor's shape must be.
    package let shape: Shape
    /// The number of the run's first element.
    package let start: Int

    package init(_ name: String, shape: Shape, start: Int = 0) {
      self.name = name
      self.shape = shape
      self.start = start
    }
  }

  /// The shape of the result.
  package let shape: Shape
  /// One or more.
  package let parts: [Part]

  package init(shape: Shape, parts: [Part]) {
    self.shape = shape
    self.parts = parts
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
  /// Where the tensor stands among the layers of the base, or of the first model without a base; nil
  /// outside layers. Names that a file says are tied to others count as tensors.
  package let layer: LayerStacks.Place?
  private let own: (String) -> Shape?
  private let others: (String) -> [Shape?]

  /// - Parameters:
  ///   - own: the shape of the tensor called so in the base, or in the first model without a base.
  ///   - others: the shapes of the tensor called so in each model.
  package init(
    name: String, shape: Shape, models: [Shape?], data: [Shape?] = [], scalings: [Double] = [],
    layer: LayerStacks.Place? = nil, own: @escaping (String) -> Shape? = { _ in nil },
    others: @escaping (String) -> [Shape?] = { _ in [] }
  ) {
    self.name = name
    self.layer = layer
    self.own = own
    self.shape = shape
    self.models = models
    self.data = data
    self.scalings = scalings
    self.others = others
  }

  /// The shape of the tensor called `other` in the base, or in the first model without a base; nil
  /// where it is missing or of a type that is not merged.
  package func shape(of other: String) -> Shape? { own(other) }

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
