import DFMergeCore
import DFMergeKernels

/// Trim, elect sign, disjoint merge.
package struct TIES: MergeMethod {
  package static let info = MethodInfo(
    id: "ties",
    title: "TIES",
    formula:
      "v_m = w_m tau_m where |tau_m| >= t_m, else 0;  s = sign(sum(v_m));  "
      + "theta = theta0 + lambda sum(v_m) / sum(w_m)    (sums over sign(v_m) = s)",
    summary:
      "Small changes are dropped as noise, then every parameter moves only with the models that "
      + "agree on its direction. t_m is the density m-th share's smallest change, found exactly; "
      + "changes equal to it are kept too. aggregate 'sum' with scope 'tensor', zero_sign "
      + "'positive' and trim 'exact' is mergekit's ties without normalize, 'mean' the one with it, "
      + "up to which of equal changes are kept and where floor(density n) is 0: of such a tensor "
      + "mergekit 0.1.5 keeps one element, 0.1.4 fails, and here nothing is kept. "
      + "tau_m is compared in F32 (F64 where an operand is) and summed in double.",
    source:
      "Yadav et al. 2023 (arXiv 2306.01708), authors' code: density 0.2 over the whole model, plain "
      + "mean, lambda 1, tied votes decided by the majority sign of all parameters, and where that "
      + "is a tie too, as negative. Deviations: weights are ours and mergekit's; a density of 1 "
      + "keeps everything, where the authors' code fails.",
    needsBase: true, needsFisher: false,
    options: [
      OptionSchema(
        "density", .numberPerModel(0...1), default: .double(0.2),
        "Share of each task vector's elements that is kept, the largest."),
      OptionSchema(
        "weights", .numberPerModel(0...1e6), default: .double(1),
        "Weight of each model, in the vote and in the mean."),
      OptionSchema(
        "lambda", .number(-1e6...1e6), default: .double(1), "Multiplies the merged task vector."),
    ] + ElectionOptions.schema(aggregate: "mean", zeroSign: "majority") + [
      OptionSchema(
        "scope", .choice(["model", "tensor"]), default: .string("model"),
        "Whether the share is taken of the whole model or of each tensor."),
      OptionSchema(
        "trim", .choice(["authors", "exact"]), default: .string("authors"),
        "Elements kept of n: 'authors' floor(density n) + 1, as their threshold has it, 'exact' "
          + "floor(density n). Elements that equal the smallest of them are kept as well."),
    ])

  private let weights: [Double]
  private let options: ElectionOptions
  private let threshold: ModelStatistic

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    weights = try options.numberPerModel("weights")
    self.options = try ElectionOptions(options)
    threshold = .taskVectorThreshold(
      densities: try options.numberPerModel("density"),
      scope: options.word("scope") == "tensor" ? .tensor : .model,
      keeping: options.word("trim") == "exact" ? .floor : .floorPlusOne)
  }

  package var statistics: [ModelStatistic] {
    options.needsBalance(models: weights.count)
      ? [threshold, options.statistic] : [threshold]
  }

  package func sums(_ tile: InputTile, _ request: SumsRequest) -> [Double] {
    options.balance(tile, terms: terms(tile.statistics))
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard let base = tile.base else { return StoreOutcome() }
    return Kernels.electedTaskVectors(
      into: tile.out, base: base, models: tile.models, terms: terms(tile.statistics),
      election: options.election(tile.statistics), count: tile.count)
  }

  private func terms(_ statistics: [ModelStatistic: [Double]]) -> [TaskVectorTerm] {
    let thresholds = statistics[threshold] ?? weights.map { _ in 0 }
    return zip(thresholds, weights).map {
      TaskVectorTerm(threshold: $0, factor: $1, weight: $1)
    }
  }
}
