import DFMergeCore
import DFMergeKernels

/// LoRA adapters side by side.
package struct LoRAConcatenation: MergeMethod {
  package static let info = MethodInfo(
    id: "lora_cat",
    title: "LoRA, concatenated",
    formula:
      "A = [w_1 (alpha_1 / r_1) A_1; w_2 (alpha_2 / r_2) A_2; ...];  B = [B_1, B_2, ...];  "
      + "r = sum(r_m);  alpha = r",
    summary:
      "Exactly the weighted sum of the adapters' updates, as one adapter whose rank is the sum of "
      + "theirs. Ranks and scalings may differ. Other tensors are averaged.",
    source:
      "LoRA: Hu et al. 2022 (arXiv 2106.09685); peft's add_weighted_adapter, combination_type "
      + "'cat'. Deviation: a module whose rank is not "
      + "that of the others (rank_pattern) gets the sum of its own ranks, where peft fills up with "
      + "zeros.",
    needsBase: false, needsFisher: false, isPermutationInvariant: false, isForAdapters: true,
    foldsScaling: true, changesShapes: true, keepsEqualModels: false,
    options: LoRAOptions.schema)

  private let options: LoRAOptions

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    self.options = try LoRAOptions(options)
  }

  package func assembly(of outline: TensorOutline) throws(DFMergeError) -> TensorAssembly {
    guard let factor = try options.factor(outline) else { return .elementwise }
    switch factor.ranks(outline) {
    case .failure(let refusal): return .refused(refusal.text)
    case .success(let ranks):
      let sum = ranks.reduce(0, &+)
      return .whole(WholeTensor(shape: try factor.shape(outline.shape, withRank: sum)))
    }
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard let factor = LoRAFactor(tile.name) else { return LoRAOptions.mean(tile) }
    var outcome = StoreOutcome()
    var start = 0
    guard factor.side == .up else {
      for (number, product) in try options.factors(tile).enumerated() {
        let count = tile.modelShapes[number].elementCount
        outcome.add(
          Kernels.linearCombination(
            into: tile.out.advanced(by: start), [tile.models[number]], weights: [product],
            count: count))
        start += count
      }
      return outcome
    }
    let ranks = tile.modelShapes.map { factor.rank($0) ?? 0 }
    for row in 0..<(tile.shape.dimensions.first ?? 0) {
      for (model, rank) in zip(tile.models, ranks) {
        outcome.add(
          Kernels.convert(
            into: tile.out.advanced(by: start), model.advanced(by: row * rank), count: rank))
        start += rank
      }
    }
    return outcome
  }
}
