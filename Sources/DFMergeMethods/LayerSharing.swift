import DFMergeCore
import DFMergeKernels

// Glossary: `L` layers of a stack, `D` distinct ones of the result, `i` a layer from 0, `g(i)` its
// group from 0, `site` a tensor as it stands in one layer.

/// One model with fewer distinct layers: those of a group become their mean.
package struct LayerSharing: MergeMethod {
  package static let info = MethodInfo(
    id: "share",
    title: "Layer sharing",
    formula:
      "theta[i] = mean(theta[j] over the layers j with g(j) = g(i));  "
      + "sequence: g(i) = floor(i D / L);  cycle: g(i) = i mod D;  "
      + "cycle_rev: g(i) = i mod D, from layer D (ceil(L / D) - 1) on D - 1 - (i mod D), "
      + "where D < L",
    summary:
      "Merges one model across its depth: the L layers of each stack become D distinct ones, and "
      + "every layer of a group gets the mean of the group, so that the result loads as the model it "
      + "was made of and can store each group once. Layers are numbered by the first part of a "
      + "tensor's name that is a whole number; what stands before it names the stack, and each stack "
      + "is counted by itself. Tensors outside layers, and those that one layer of a group alone has, "
      + "stay as they are; different shapes within a group are an error. A tensor that the model has "
      + "under two names counts once. The report's ties say which tensors now have the values of "
      + "which: g(j) = g(i). Expect to train on afterwards; dfmerge.torch.share does the same to a "
      + "module and ties its parameters.",
    source:
      "Patterns: Takase and Kiyono 2021 (arXiv 2104.06022). Lin et al. 2023 (arXiv 2306.09380) on "
      + "why shared layers train well. Both train shared layers from the start; the mean of trained "
      + "layers as a beginning is ours. Deviations: where D does not divide L, sequence makes groups "
      + "whose sizes differ by one at most, not runs of floor(L / D), of which there would be more "
      + "than D.",
    needsBase: false, needsFisher: false, modelCounts: 1...1, isPermutationInvariant: false,
    gathersTensors: true, keepsEqualModels: false,
    options: [
      OptionSchema(
        "distinct_layers", .integer(1...1_000_000), default: .int(1),
        "How many distinct layers D each stack has afterwards; at most as many as it has."),
      OptionSchema(
        "pattern", .choice(Pattern.allCases.map(\.rawValue)),
        default: .string(Pattern.sequence.rawValue),
        "Which layers share: neighbours (sequence), every D-th one (cycle), or every D-th one with "
          + "the last round backwards (cycle_rev)."),
      OptionSchema(
        "tensors", .names, default: .array([.string("*")]),
        "Names of the tensors that layers share; '*' stands for any characters, '?' for one. Others "
          + "stay as they are."),
    ])

  /// Which layers share.
  enum Pattern: String, CaseIterable {
    case sequence
    case cycle
    case cycleReversed = "cycle_rev"

    /// The group of layer `index` of `count`, both below 2^40, in `distinct` groups, 1 to `count`.
    func group(_ index: Int, of count: Int, distinct: Int) -> Int {
      switch self {
      case .sequence: return index &* distinct / count
      case .cycle: return index % distinct
      case .cycleReversed:
        let rounds = (count &+ distinct &- 1) / distinct
        guard distinct < count, index >= distinct &* (rounds &- 1) else { return index % distinct }
        return distinct &- 1 &- index % distinct
      }
    }
  }

  private let distinct: Int
  private let pattern: Pattern
  private let names: [String]

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    distinct = try options.integer("distinct_layers")
    pattern = options.word("pattern").flatMap(Pattern.init) ?? .sequence
    names = options.names("tensors")
  }

  private func isShared(_ name: String) -> Bool {
    names.contains { TensorName.matches(name, $0) }
  }

  package func assembly(of outline: TensorOutline) throws(DFMergeError) -> TensorAssembly {
    guard let layer = outline.layer, isShared(outline.name) else { return .elementwise }
    guard distinct <= layer.count else {
      return .refused(
        "'\(outline.name)' is in one of \(layer.count) layers '\(layer.stack)', of which there are "
          + "to be \(distinct) (distinct_layers); ask for \(layer.count) at most, or leave these "
          + "tensors out of the option 'tensors'")
    }
    func group(_ index: Int) -> Int { pattern.group(index, of: layer.count, distinct: distinct) }
    var parts: [GatheredTensor.Part] = []
    for site in layer.sites where group(site.index) == group(layer.index) && isShared(site.name) {
      guard let shape = outline.shape(of: site.name) else { continue }
      guard shape == outline.shape else {
        return .refused(
          "'\(outline.name)' is \(outline.shape) and '\(site.name)', with which it is to share, is "
            + "\(shape); leave such tensors out of the option 'tensors', or choose another pattern")
      }
      parts.append(GatheredTensor.Part(site.name, shape: shape))
    }
    guard parts.count > 1 else { return .elementwise }
    return .gathered(GatheredTensor(shape: outline.shape, parts: parts))
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    Kernels.linearCombination(
      into: tile.out, tile.models,
      weights: tile.models.map { _ in 1 / Double(max(tile.models.count, 1)) }, count: tile.count)
  }
}
