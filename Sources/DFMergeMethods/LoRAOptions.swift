import DFMergeCore
import DFMergeKernels

/// What the methods that combine adapters as peft's `add_weighted_adapter` does have in common: a
/// weight for each adapter, times the scaling `lora_alpha / r` of its module.
struct LoRAOptions: Sendable {
  private let weights: [Double]
  private let scaling: [Double]?

  static let schema = [
    OptionSchema(
      "weights", .numberPerModel(-1e6...1e6), default: .double(1), "Weight of each adapter."),
    OptionSchema(
      "scaling", .numberPerModel(-1e6...1e6), default: .null,
      "lora_alpha / r of each adapter, in place of what its adapter_config.json says; needed for "
        + "adapters from memory."),
  ]

  /// From options that hold those of `schema`.
  init(_ options: OptionValues) throws(DFMergeError) {
    weights = try options.numberPerModel("weights")
    scaling =
      options.values["scaling"] == .null ? nil : try options.numberPerModel("scaling")
  }

  /// What the update of each adapter is multiplied by in a module.
  /// - Throws: `.internalError` for a tile of a tensor that was not asked about before.
  func factors(_ tile: MergeTile) throws(DFMergeError) -> [Double] {
    let scalings = scaling ?? tile.scalings
    guard scalings.count == tile.models.count else {
      throw DFMergeError(
        .internalError, "Tensor '\(tile.name)' came without its scalings; please report this.")
    }
    return zip(weights, scalings).map { $0 * $1 }
  }

  /// The factor that `outline` is, and the models' shapes of it, all of them factors; nil for any
  /// other tensor.
  /// - Throws: `.invalidOption` for a scaling that is not known.
  func factor(_ outline: TensorOutline) throws(DFMergeError) -> LoRAFactor? {
    guard let factor = LoRAFactor(outline.name) else { return nil }
    guard scaling != nil || outline.scalings.count == outline.models.count else {
      throw DFMergeError(
        .invalidOption,
        "The scaling lora_alpha / r of '\(factor.module)' is not known for every adapter; pass "
          + "adapter folders whose adapter_config.json says it (an alpha_pattern that is a regular "
          + "expression is not followed), or the option 'scaling'.",
        context: ["option": "scaling", "tensor": outline.name])
    }
    return factor
  }

  /// Tensors that are no factors: the plain mean.
  static func mean(_ tile: MergeTile) -> StoreOutcome {
    let count = tile.models.count
    return Kernels.linearCombination(
      into: tile.out, tile.models, weights: tile.models.map { _ in 1 / Double(count) },
      count: tile.count)
  }
}

extension LoRAFactor {
  /// The rank of this factor in each model, or why there is none: every model must have it with the
  /// same sizes but for the rank.
  func ranks(_ outline: TensorOutline) -> Result<[Int], LoRARefusal> {
    var found: [Int] = []
    let shapes = outline.models.compactMap { $0 }
    for shape in shapes {
      guard let rank = rank(shape) else {
        return .failure(LoRARefusal("'\(name)' is \(shape), which is no shape of a LoRA factor"))
      }
      let others = side == .down ? shape.dimensions.dropFirst() : shape.dimensions.prefix(1)
      let first = side == .down ? shapes[0].dimensions.dropFirst() : shapes[0].dimensions.prefix(1)
      guard others == first, shape.dimensions.count == shapes[0].dimensions.count else {
        return .failure(
          LoRARefusal("'\(name)' is \(shapes[0]) in one adapter but \(shape) in another"))
      }
      found.append(rank)
    }
    return .success(found)
  }
}

/// Why a factor cannot be merged; a sentence without its full stop.
struct LoRARefusal: Error {
  let text: String
  init(_ text: String) { self.text = text }
}
