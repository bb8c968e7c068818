import DFMergeCore
import DFMergeKernels

/// Select, calculate, erase.
package struct SCE: MergeMethod {
  package static let info = MethodInfo(
    id: "sce",
    title: "SCE",
    formula:
      "w_m = mean(tau_m^2) over the share select_topk of the elements with the largest variance over "
      + "the models, divided by sum(w_m);  s = sign(sum(tau_m));  theta = theta0 + sum(w_m tau_m) / "
      + "sum(w_m)    (sums over sign(tau_m) = s)",
    summary:
      "Weights for each tensor from the data: models that change a tensor more where they differ count "
      + "more in it, and minority directions are erased. Needs no weights. The share is taken of the "
      + "elements whose variance is not 0; variances are formed in double and ranked in F32 (F64 where "
      + "an operand is), and those that equal the smallest one selected are selected too. A tensor in "
      + "which nothing is selected has equal weights.",
    source:
      "Wan et al. 2024 (FuseChat, arXiv 2408.07990), authors' code: the selection serves the weights "
      + "only, while whole task vectors are merged; select_topk 1, FuseChat's own is 0.1. variant "
      + "'mergekit' merges the selected elements only, takes equal weights where the mean squares sum to "
      + "less than 1e-6, as those of small fine-tunes do, and divides by 1e-6 at least. No deviations.",
    needsBase: true, needsFisher: false,
    options: [
      OptionSchema(
        "select_topk", .number(0...1), default: .double(1),
        "Share of the elements with some variance that is selected, those with the largest. 1 selects "
          + "all, which saves four reads of the inputs."),
      OptionSchema(
        "variant", .choice(["authors", "mergekit"]), default: .string("authors"),
        "Whether the selection is for the weights only, or for what is merged too."),
    ])

  private let share: Double
  private let isMergekit: Bool
  private let differing = SumsRequest("differing", count: 1, scope: .tensor)
  private let spread = RankRequest("spread", count: 1, scope: .tensor)
  private let squares: SumsRequest

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    share = try options.number("select_topk")
    isMergekit = options.word("variant") == "mergekit"
    squares = SumsRequest("squares", count: modelCount, scope: .tensor)
  }

  private var selects: Bool { share < 1 }

  package var statistics: [ModelStatistic] {
    (selects ? [.sums(differing), .ranks(spread)] : []) + [.sums(squares)]
  }

  package func memory(count: Int, shape: Shape) -> TileMemory {
    TileMemory(workspace: selects ? count * 8 : 0)
  }

  package func sums(_ tile: InputTile, _ request: SumsRequest) -> [Double] {
    guard let base = tile.base else { return [] }
    if request == squares {
      return Kernels.sumsOfSquares(
        base: base, models: tile.models, mask: selection(tile), count: tile.count)
    }
    guard let start = tile.workspace.baseAddress else { return [0] }
    let values = start.bindMemory(to: Double.self, capacity: tile.count)
    Kernels.spread(into: values, base: base, models: tile.models, count: tile.count)
    return [Double((0..<tile.count).count { values[$0] != 0 })]
  }

  package func rankedValues(
    _ tile: InputTile, _ request: RankRequest, index: Int,
    into values: UnsafeMutablePointer<Double>
  ) {
    guard let base = tile.base else { return }
    Kernels.spread(into: values, base: base, models: tile.models, count: tile.count)
  }

  package func rank(
    _ request: RankRequest, index: Int, count: Int, statistics: [ModelStatistic: [Double]]
  ) -> Int {
    Int((statistics[.sums(differing)]?.first ?? 0) * share)
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard let base = tile.base else { return StoreOutcome() }
    let terms = weights(tile.inputs).map { TaskVectorTerm(factor: $0, weight: $0) }
    let election = SignElection(
      vote: .plainMass, aggregate: .mean, tie: .positive, leastWeight: isMergekit ? 1e-6 : 0)
    return Kernels.electedTaskVectors(
      into: tile.out, base: base, models: tile.models, terms: terms, election: election,
      mask: isMergekit ? selection(tile.inputs) : nil, count: tile.count)
  }

  /// The elements that are selected; nil for all.
  private func selection(_ tile: InputTile) -> SpreadMask? {
    selects
      ? SpreadMask(threshold: tile.statistics[.ranks(spread)]?.first ?? .infinity) : nil
  }

  /// The weight of each model in this tensor; their sum is 1.
  private func weights(_ tile: InputTile) -> [Double] {
    let sums = tile.statistics[.sums(squares)] ?? []
    let total = sums.reduce(0, +)
    let mean = total / Double(max(tile.shape.elementCount, 1))
    guard sums.count == tile.models.count, total != 0, !isMergekit || mean >= 1e-6 else {
      return tile.models.map { _ in 1 / Double(tile.models.count) }
    }
    return sums.map { $0 / total }
  }
}
