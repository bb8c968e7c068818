import DFMergeCore
import DFMergeKernels
import Glibc

/// Between the base and the mean of the models, as near to the mean as their angles say.
package struct ModelStock: MergeMethod {
  package static let info = MethodInfo(
    id: "model_stock",
    title: "Model Stock",
    formula:
      "theta = t mean(theta_m) + (1 - t) theta0;  t = M cos / (1 + (M - 1) cos);  cos: the mean "
      + "cosine of the angles between tau_m and tau_n",
    summary:
      "Estimates where the centre of many fine-tunes would be from two or a few of them: changes "
      + "that agree are kept, changes at right angles to each other are noise, and the base is "
      + "returned. Tensor by tensor. Made for fine-tunes on the same data; those of different tasks "
      + "are nearly at right angles.",
    source:
      "Jang et al. 2024 (arXiv 2403.19522); the paper leaves open which angle several models have: "
      + "angle 'cosine' is mergekit's, the mean of the cosines, 'degrees' fusion_bench's, the cosine "
      + "of the mean angle. scope 'row' is mergekit's filter_wise. A change of length 0 has the "
      + "cosine 0 with any other. Deviations: the mean cosine is limited to 0 and 1, for t below 0 "
      + "moves away from the models; clamp false leaves that out, as both do. mergekit's norm_floor "
      + "is 1e-6, which makes the cosines of small changes smaller; fusion_bench adds 1e-8 instead.",
    needsBase: true, needsFisher: false, modelCounts: 2...Int.max,
    options: [
      OptionSchema(
        "scope", .choice(["tensor", "row"]), default: .string("tensor"),
        "Whether whole tensors have an angle or each of their rows, runs along the last axis."),
      OptionSchema(
        "angle", .choice(["cosine", "degrees"]), default: .string("cosine"),
        "Whether the cosines of all pairs are averaged, or their angles."),
      OptionSchema(
        "clamp", .flag, default: .bool(true), "Limit the mean cosine to 0 and 1."),
      OptionSchema(
        "norm_floor", .number(0...1), default: .double(0),
        "The least product of two lengths by which their inner product is divided."),
    ])

  private let isByRow: Bool
  private let averagesAngles: Bool
  private let clamps: Bool
  private let floor: Double
  private let request: SumsRequest

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    isByRow = options.word("scope") == "row"
    averagesAngles = options.word("angle") == "degrees"
    clamps = try options.flag("clamp")
    floor = try options.number("norm_floor")
    request = GramMatrix.request(models: modelCount, scope: .tensor)
  }

  package var statistics: [ModelStatistic] { isByRow ? [] : [.sums(request)] }

  package func unit(of shape: Shape) -> TileUnit { isByRow ? .rows : .elements }

  package func sums(_ tile: InputTile, _ request: SumsRequest) -> [Double] {
    GramMatrix.sums(tile, from: tile.base)
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard isByRow else {
      return try move(
        tile, GramMatrix(count: tile.models.count, tile.statistics[.sums(request)] ?? []))
    }
    return try tile.forEachRow { (row) throws(DFMergeError) in
      try move(row, GramMatrix(row.inputs, from: row.base))
    }
  }

  private func move(_ tile: MergeTile, _ gram: GramMatrix) throws(DFMergeError) -> StoreOutcome {
    let t = ratio(gram)
    guard !t.isInfinite else {
      throw DFMergeError(
        .nonFinite,
        "The changes of tensor '\(tile.name)' from the base have a mean cosine of "
          + "\(-1 / Double(gram.count - 1)), at which method 'model_stock' is not defined; leave "
          + "its option clamp on.", context: ["tensor": tile.name])
    }
    let share = t / Double(gram.count)
    return tile.combine([Double](repeating: share, count: gram.count), from: tile.base)
  }

  private func ratio(_ gram: GramMatrix) -> Double {
    var sum = 0.0
    for i in 0..<gram.count {
      for j in (i + 1)..<max(gram.count, i + 1) {
        let lengths = max(gram.norm(i) * gram.norm(j), floor)
        let cosine = lengths == 0 ? 0 : gram[i, j] / lengths
        // Comparisons with NaN are false, and leave it.
        let limited = cosine > 1 ? 1 : cosine < -1 ? -1 : cosine
        sum += averagesAngles ? acos(limited) : limited
      }
    }
    let models = Double(gram.count)
    let mean = sum / (models * (models - 1) / 2)
    var cosine = averagesAngles ? cos(mean) : mean
    if clamps { cosine = cosine < 0 ? 0 : cosine > 1 ? 1 : cosine }
    return models * cosine / (1 + (models - 1) * cosine)
  }
}
