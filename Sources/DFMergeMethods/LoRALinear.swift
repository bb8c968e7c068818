import DFMergeCore
import DFMergeKernels

/// LoRA adapters of one rank, factor by factor.
package struct LoRALinear: MergeMethod {
  package static let info = MethodInfo(
    id: "lora_linear",
    title: "LoRA, linear",
    formula:
      "c_m = w_m alpha_m / r;  A = sum(sign(c_m) sqrt|c_m| A_m);  B = sum(sqrt|c_m| B_m);  "
      + "alpha = r",
    summary:
      "Sums the factors of LoRA adapters, not their products: B A has a term for every pair of "
      + "adapters. Cheap, and keeps the rank; for adapters that were trained alike. One adapter of "
      + "weight 1 is itself, its scaling moved into the factors. Other tensors, such as "
      + "modules_to_save, are averaged. LoraHub's combination is method 'average' with its weights "
      + "and normalize false.",
    source:
      "LoRA: Hu et al. 2022 (arXiv 2106.09685); peft's add_weighted_adapter, combination_type "
      + "'linear' (0.18 and later, with negative weights). "
      + "Deviations: sums in double, modules may have ranks of their own (rank_pattern), as long as "
      + "all adapters agree; peft refuses adapters that save whole modules.",
    needsBase: false, needsFisher: false, isForAdapters: true, foldsScaling: true,
    // Updates are added up, and the scaling is in the factors.
    keepsEqualModels: false,
    options: LoRAOptions.schema)

  private let options: LoRAOptions

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    self.options = try LoRAOptions(options)
  }

  package func assembly(of outline: TensorOutline) throws(DFMergeError) -> TensorAssembly {
    guard let factor = try options.factor(outline) else { return .elementwise }
    guard let own = factor.rank(outline.shape) else {
      return .refused("'\(outline.name)' is \(outline.shape), which is no shape of a LoRA factor")
    }
    let others = outline.models.compactMap { $0.flatMap(factor.rank) }
    guard let other = others.first(where: { $0 != own }) else { return .elementwise }
    return .refused(
      "'\(outline.name)' has the rank \(own) in one adapter and \(other) in another, which method "
        + "'lora_linear' cannot sum; use 'lora_cat' or 'lora_svd'")
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard let factor = LoRAFactor(tile.name) else { return LoRAOptions.mean(tile) }
    let products = try options.factors(tile)
    let weights = products.map { product in
      let root = abs(product).squareRoot()
      return factor.side == .down && product < 0 ? -root : root
    }
    return Kernels.linearCombination(
      into: tile.out, tile.models, weights: weights, count: tile.count)
  }
}
