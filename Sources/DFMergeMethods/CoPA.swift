import DFMergeCore
import DFMergeKernels

// Glossary: `A` factor [r, i], `B` factor [o, r], `s` scale of a rank, `t` smallest magnitude kept.

/// Pruned LoRA adapters, whose columns of `B` make up for what `A` lost.
package struct CoPA: MergeMethod {
  package static let info = MethodInfo(
    id: "copa",
    title: "CoPA-Merging (RobustMerge)",
    formula:
      "A'_m, B'_m: A_m, B_m where |.| >= t, else 0;  s_m[k] = sum_j|A_m[k,j]| / sum_j|A'_m[k,j]|, "
      + "raised to the smallest of the top_ranks largest;  A = c sum(A'_m);  "
      + "B[:,k] = c sum(s_m[k] B'_m[:,k]) / sum(s_m[k])",
    summary:
      "Merges LoRA adapters of one base and rank without data. Of each factor the largest elements "
      + "are kept, t being the smallest of them; each rank of B is scaled up by what pruning took "
      + "from that rank of A, weak ranks more, so that the directions of small singular values "
      + "survive. Scaling and rank of the adapters stay. Tensors that are no factors, such as a "
      + "projector, are averaged.",
    source:
      "Zeng et al. 2025 (arXiv 2502.17159), authors' code: density 0.2, top_ranks 0.2, coefficient "
      + "2. Deviations: factors are paired by name, where the code relies on their order; a rank "
      + "of A that is pruned away has the largest finite scale of its factor, where the code "
      + "divides by 0.",
    needsBase: false, needsFisher: false, isForAdapters: true,
    // Models are added up and amplified.
    keepsEqualModels: false,
    options: [
      OptionSchema(
        "density", .number(0...1), default: .double(0.2),
        "Share of each factor's elements that is kept, the largest; equal ones are kept too."),
      OptionSchema(
        "top_ranks", .number(0...1), default: .double(0.2),
        "Share of the ranks that keep their own scale, the largest; the others are raised to the "
          + "smallest of these."),
      OptionSchema(
        "coefficient", .number(-1e6...1e6), default: .double(2), "Multiplies both factors."),
    ])

  private let density: Double
  private let topRanks: Double
  private let coefficient: Double

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    density = try options.number("density")
    topRanks = try options.number("top_ranks")
    coefficient = try options.number("coefficient")
  }

  package func assembly(of outline: TensorOutline) throws(DFMergeError) -> TensorAssembly {
    guard let factor = LoRAFactor(outline.name) else { return .elementwise }
    let shape = outline.shape
    guard let rank = factor.rank(shape) else {
      return .refused("'\(outline.name)' is \(shape), which is no shape of a LoRA factor")
    }
    if let other = outline.models.compactMap({ $0 }).first(where: { $0 != shape }) {
      return .refused(
        "'\(outline.name)' is \(shape) in one adapter but \(other) in another; method 'copa' takes "
          + "adapters of one rank")
    }
    guard factor.side == .up else {
      return .whole(WholeTensor(shape: shape, memory: CoPA.memory(shape.elementCount, 0)))
    }
    guard let downs = outline.partners(factor.partner), let down = downs.first,
      downs.allSatisfy({ $0 == down }), let other = LoRAFactor(factor.partner),
      other.rank(down) == rank
    else {
      return .refused(
        "'\(outline.name)' has the rank \(rank), but not every adapter has '\(factor.partner)' of "
          + "that rank and one shape")
    }
    return .whole(
      WholeTensor(
        shape: shape, partners: [factor.partner],
        memory: CoPA.memory(shape.elementCount, down.elementCount)))
  }

  /// The factor itself, what it is pruned by and the sum; for `B` also its `A`.
  private static func memory(_ own: Int, _ partner: Int) -> TileMemory {
    TileMemory(heap: (own &* 3 &+ partner &* 2) &* 8)
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard let factor = LoRAFactor(tile.name) else { return LoRAOptions.mean(tile) }
    var sum = [Double](repeating: 0, count: tile.count)
    guard factor.side == .up else {
      for model in tile.models {
        let values = model.doubles(tile.count)
        let threshold = threshold(of: values)
        for (place, value) in values.enumerated() where CoPA.keeps(value, threshold) {
          sum[place] += value
        }
      }
      for place in sum.indices { sum[place] *= coefficient }
      return tile.out.store(sum)
    }
    guard let downs = tile.partners[factor.partner], let rank = factor.rank(tile.shape) else {
      throw DFMergeError(
        .internalError, "Tensor '\(tile.name)' came without its partner; please report this.")
    }
    let scales = downs.map { self.scales(of: $0, ranks: rank) }
    let totals = (0..<rank).map { k in scales.reduce(0) { $0 + $1[k] } }
    for (model, scale) in zip(tile.models, scales) {
      let values = model.doubles(tile.count)
      let threshold = threshold(of: values)
      for (place, value) in values.enumerated() where CoPA.keeps(value, threshold) {
        sum[place] += coefficient * scale[place % rank] * value
      }
    }
    for place in sum.indices { sum[place] /= totals[place % rank] }
    return tile.out.store(sum)
  }

  /// NaN is kept, so that it shows.
  private static func keeps(_ value: Double, _ threshold: Double) -> Bool {
    !(value.magnitude < threshold)
  }

  /// The smallest magnitude that is kept: the `floor(n (1 - density))`-th smallest of all.
  private func threshold(of values: [Double]) -> Double {
    let rank = Int(Double(values.count) * (1 - density))
    guard rank >= 1, rank <= values.count else { return 0 }
    // NaN has no place in an order.
    var magnitudes = values.map { $0.isNaN ? 0 : $0.magnitude }
    magnitudes.sort()
    return magnitudes[rank - 1]
  }

  /// What pruning took from each rank of a factor `A`, made even.
  private func scales(of input: WholeInput, ranks: Int) -> [Double] {
    let values = input.elements.doubles(input.shape.elementCount)
    let threshold = threshold(of: values)
    let width = values.count / max(ranks, 1)
    var scales = (0..<ranks).map { k in
      var (all, kept) = (0.0, 0.0)
      for value in values[k * width..<(k + 1) * width] {
        all += value.magnitude
        if CoPA.keeps(value, threshold) { kept += value.magnitude }
      }
      // A rank of zeros has lost nothing.
      return all == 0 ? 1 : all / kept
    }
    let largest = scales.filter(\.isFinite).max() ?? 1
    for k in scales.indices where scales[k] == .infinity { scales[k] = largest }
    let place = min(Int(Double(ranks) * (1 - topRanks)), ranks - 1)
    let ordered = scales.map { $0.isNaN ? 1 : $0 }.sorted()
    guard ordered.indices.contains(place) else { return scales }
    return scales.map { $0 < ordered[place] ? ordered[place] : $0 }
  }
}
