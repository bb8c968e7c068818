/// What the name of a tensor says of it as one factor of a low-rank update `B A` of a module.
///
/// Names as peft writes them: `<module>.lora_A.weight` and `.lora_B.weight`,
/// `<module>.lora_embedding_A` and `_B`; in a running model with the adapter's name in between,
/// `<module>.lora_A.default.weight`.
package struct LoRAFactor: Hashable, Sendable {
  package enum Side: Hashable, Sendable {
    /// `A`: from the module's input to the ranks, `[r, i]`.
    case down
    /// `B`: from the ranks to the module's output, `[o, r]`.
    case up
  }

  /// The tensor's own name.
  package let name: String
  package let side: Side
  /// The module's name in the base model.
  package let module: String
  /// The name of the module's other factor.
  package let partner: String

  /// What a name of one factor has where that of the other has the second.
  private static let words = [
    ("lora_A", "lora_B"), ("lora_embedding_A", "lora_embedding_B"),
  ]
  /// What peft puts before the names of a base model's modules.
  private static let prefix = "base_model.model."

  /// Nil for the name of any other tensor.
  package init?(_ name: String) {
    var parts = name.split(separator: ".", omittingEmptySubsequences: false)
    guard let place = parts.lastIndex(where: { $0.hasPrefix("lora_") }), place > 0 else {
      return nil
    }
    let word = String(parts[place])
    guard let words = LoRAFactor.words.first(where: { $0.0 == word || $0.1 == word }) else {
      return nil
    }
    // A weight of a module, or a parameter; of the adapter called so, in a running model.
    let rest = parts[(place + 1)...]
    let isEmbedding = word.contains("embedding")
    guard isEmbedding ? rest.count <= 1 : (1...2).contains(rest.count) && rest.last == "weight"
    else { return nil }
    side = word == words.0 ? .down : .up
    let module = parts[..<place].joined(separator: ".")
    self.module =
      module.hasPrefix(LoRAFactor.prefix)
      ? String(module.dropFirst(LoRAFactor.prefix.count)) : module
    self.name = name
    parts[place] = Substring(side == .down ? words.1 : words.0)
    partner = parts.joined(separator: ".")
  }

  /// Whether a name is that of a factor or of something else that belongs to one, such as the
  /// magnitudes of DoRA.
  package static func isPart(_ name: String) -> Bool {
    name.split(separator: ".").contains { $0.hasPrefix("lora_") }
  }

  /// The rank of the update, from this factor's shape; nil for a shape that no factor has.
  ///
  /// Convolutions have `A` as `[r, channels, height, width]` and `B` as `[o, r, 1, 1]`.
  package func rank(_ shape: Shape) -> Int? {
    let sizes = shape.dimensions
    guard sizes.count >= 2, let rank = side == .down ? sizes.first : sizes.dropFirst().first,
      rank > 0, side == .down || sizes.dropFirst(2).allSatisfy({ $0 == 1 })
    else { return nil }
    return rank
  }

  /// `shape` with another rank.
  /// - Throws: `.invalidArgument` for a size that does not fit in 64 bits.
  package func shape(_ shape: Shape, withRank rank: Int) throws(DFMergeError) -> Shape {
    var sizes = shape.dimensions
    let axis = side == .down ? 0 : 1
    if sizes.indices.contains(axis) { sizes[axis] = rank }
    return try Shape(sizes)
  }
}

extension WeightSource {
  /// What the product of the factors of a module is multiplied by; nil where this is no adapter, or
  /// its configuration does not say.
  package func loraScaling(of factor: LoRAFactor) -> Double? {
    guard let adapter, let shape = tensor(named: factor.name)?.shape,
      let rank = factor.rank(shape), let alpha = adapter.alpha(of: factor.module)
    else { return nil }
    return alpha / Double(rank)
  }
}
