import DFMergeCore
import DFMergeKernels

/// Dynamic pruning and partition amplification: the largest changes of each matrix, more of them
/// where layers and matrices have many outliers, scaled up.
package struct DPPA: MergeMethod {
  package static let info = MethodInfo(
    id: "dppa",
    title: "DPPA",
    formula:
      "theta = theta0 + sum(E_m);  E_m = the larger in size of alpha8 D8_m, alpha9 D9_m;  Ds_m = tau_m "
      + "where |tau_m| > t_m(p), else 0;  1 - p = (1 - s) + a_layer + b_matrix;  t_m(p): element "
      + "int(n p) of |tau_m| in ascending order, from 0",
    summary:
      "For fine-tunes that moved far, where DARE fails. Each model's changes are pruned at two "
      + "sparsities and amplified: the largest by max(alpha8, alpha9), the next by alpha8. Layers and "
      + "matrices with more outliers than others keep more. Only linear weights of layers are pruned; "
      + "what else changed is kept whole and amplified by max(alpha8, alpha9). The amplifications are "
      + "to be searched on validation data; see the guide to merging.",
    source:
      "Zhu et al. 2024 (arXiv 2403.02799), authors' code: spread 0.08, outliers are changes above 3 "
      + "times the layer's mean size and above 5 times the matrix', elements that equal the threshold "
      + "are pruned too; alpha9 1.8 and alpha8 0 are where its search starts. Deviations: shares "
      + "outside 0 and 1, at which the released code fails, are limited, one element at least being "
      + "pruned; where all scores are alike they move nothing, where that code divides 0 by 0. The "
      + "code stops at one model's changes; several are added, as in task arithmetic.",
    needsBase: true, needsFisher: false,
    options: [
      OptionSchema(
        "alpha9", .numberPerModel(0...1e6), default: .double(1.8),
        "Multiplies the changes left at sparsity9."),
      OptionSchema(
        "alpha8", .numberPerModel(0...1e6), default: .double(0),
        "Multiplies the changes left at sparsity8."),
      OptionSchema(
        "sparsity9", .number(0...1), default: .double(0.9),
        "Mean share of the linear weights' changes that is pruned in D9."),
      OptionSchema(
        "sparsity8", .number(0...1), default: .double(0.8),
        "The same in D8; no more than sparsity9."
      ),
      OptionSchema(
        "spread", .number(0...1), default: .double(0.08),
        "The most by which the score of a layer changes the share that is kept, and that of a matrix."
      ),
      OptionSchema(
        "layer_outlier", .number(0...1e6), default: .double(3),
        "Multiple of the layer's mean size from which on a change is an outlier of the layer."),
      OptionSchema(
        "outlier", .number(0...1e6), default: .double(5),
        "Multiple of the matrix' mean size from which on a change is an outlier of the matrix."),
      OptionSchema(
        "linear", .names, default: .null,
        "Patterns of the names of linear weights, * for any run of characters; only tensors with a "
          + "layer number count. By default all matrices with a layer number."),
    ])

  private let high: [Double]
  private let low: [Double]
  private let sparsities: [Double]
  private let spread: Double
  private let layerOutlier: Double
  private let outlier: Double
  private let patterns: [String]

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    let nine = try options.numberPerModel("alpha9")
    low = try options.numberPerModel("alpha8")
    high = zip(nine, low).map { max($0, $1) }
    sparsities = [try options.number("sparsity9"), try options.number("sparsity8")]
    guard sparsities[0] >= sparsities[1] else {
      throw DFMergeError(
        .invalidOption,
        "sparsity8 of method 'dppa' is \(sparsities[1]), more than sparsity9, \(sparsities[0]); give "
          + "the larger one as sparsity9.", context: ["option": "sparsity8"])
    }
    spread = try options.number("spread")
    layerOutlier = try options.number("layer_outlier")
    outlier = try options.number("outlier")
    patterns = options.names("linear")
  }

  private var modelCount: Int { high.count }
  private var sizes: SumsRequest { SumsRequest("sizes", count: modelCount, scope: .tensor) }
  private var outliers: SumsRequest {
    SumsRequest("outliers", count: 2 * modelCount, scope: .tensor)
  }
  private var thresholds: RankRequest {
    RankRequest("thresholds", count: 2 * modelCount, scope: .tensor)
  }

  package var statistics: [ModelStatistic] {
    [.sums(sizes), .sums(outliers), .taskVectorRanks(thresholds)]
  }

  /// The layer of a linear weight; nil for any other tensor.
  private func layer(of name: String, _ shape: Shape) -> TensorName.Layer? {
    guard shape.elementCount > 0 else { return nil }
    let isLinear =
      patterns.isEmpty
      ? shape.dimensions.count == 2 : patterns.contains { TensorName.matches(name, $0) }
    return isLinear ? TensorName.layer(of: name) : nil
  }

  package func sums(_ tile: InputTile, _ request: SumsRequest) -> [Double] {
    guard layer(of: tile.name, tile.shape) != nil, let base = tile.base else {
      return [Double](repeating: 0, count: request.count)
    }
    if request == sizes {
      return Kernels.sumsOfMagnitudes(base: base, models: tile.models, count: tile.count)
    }
    guard let means = tile.statistics[.sums(sizes)], means.count == 2 * modelCount else {
      return [Double](repeating: 0, count: request.count)
    }
    let counts = tile.models.enumerated().map { model, elements in
      Kernels.countsAbove(
        (outlier * means[model], layerOutlier * means[modelCount + model]), elements, base: base,
        count: tile.count)
    }
    return counts.map { Double($0.0) } + counts.map { Double($0.1) }
  }

  /// Of the sizes, the mean of each model's changes in the matrix, then in its layer; of the outliers,
  /// the shares that are kept, at sparsity9, then at sparsity8. Nothing for other tensors.
  package func figures(_ request: SumsRequest, of tensors: [TensorSums]) -> [[Double]] {
    let matrices = tensors.map { tensor in
      DPPAMatrix(
        layer: layer(of: tensor.name, tensor.shape), count: Double(tensor.shape.elementCount),
        sums: tensor.sums)
    }
    let scores = DPPAScores(matrices.filter { $0.layer != nil }, modelCount: modelCount)
    return matrices.map { matrix in
      guard let layer = matrix.layer else { return [] }
      return (0..<(2 * modelCount)).map { place in
        let model = place % modelCount
        if request == sizes {
          return place < modelCount
            ? matrix.sums[model] / matrix.count : scores.layerMean(layer, sum: model)
        }
        let score = scores.layerScore(layer, model) + scores.matrixScore(matrix, model)
        return 1 - sparsities[place / modelCount] + spread * score
      }
    }
  }

  package func rank(
    _ request: RankRequest, index: Int, count: Int, statistics: [ModelStatistic: [Double]]
  ) -> Int {
    let kept = statistics[.sums(outliers)] ?? []
    // Of other tensors everything is kept, without a look.
    guard kept.count == request.count else { return count + 1 }
    let pruned = kept[index] < 1 ? kept[index] > 0 ? 1 - kept[index] : 1 : 0
    return count - min(Int(Double(count) * pruned), count - 1)
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard let base = tile.base else { return StoreOutcome() }
    let isLinear = layer(of: tile.name, tile.shape) != nil
    let limits = tile.statistics[.taskVectorRanks(thresholds)] ?? []
    /// The least size above that of place `index`.
    func least(_ index: Int) -> Double {
      guard isLinear, index < limits.count else { return 0 }
      return tile.isWide ? limits[index].nextUp : Double(Float(limits[index]).nextUp)
    }
    var models: [Elements] = []
    var terms: [TaskVectorTerm] = []
    func add(_ model: Int, _ factor: Double, above index: Int) {
      guard factor != 0 else { return }
      models.append(tile.models[model])
      terms.append(TaskVectorTerm(threshold: least(index), factor: factor))
    }
    for model in 0..<modelCount {
      // What is left at the higher sparsity is left at the lower one too.
      add(model, isLinear ? low[model] : high[model], above: modelCount + model)
      if isLinear { add(model, high[model] - low[model], above: model) }
    }
    return Kernels.termSum(
      into: tile.out, base: base, models: models, terms: terms, count: tile.count)
  }
}
