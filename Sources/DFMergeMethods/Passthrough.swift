import DFMergeCore
import DFMergeKernels

/// One model, as it is or scaled.
package struct Passthrough: MergeMethod {
  package static let info = MethodInfo(
    id: "passthrough",
    title: "Passthrough",
    formula: "theta = scale theta_1",
    summary:
      "Copies a model, into another element type or other shards, or scales some of its tensors: "
      + "{\"scale\": [{\"filter\": \"o_proj\", \"value\": 0.5}]}. With scale 1 it is returned bit for "
      + "bit.",
    source: "No paper; mergekit's passthrough. No deviations.",
    needsBase: false, needsFisher: false, modelCounts: 1...1, isPermutationInvariant: false,
    options: [
      OptionSchema(
        "scale", .number(-1e6...1e6), default: .double(1), "What every element is multiplied by.")
    ])

  private let scale: Double

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    scale = try options.number("scale")
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    Kernels.linearCombination(into: tile.out, tile.models, weights: [scale], count: tile.count)
  }
}
