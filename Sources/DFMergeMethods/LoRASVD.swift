import DFMergeCore
import DFMergeKernels
import DFMergeLinearAlgebra

// Glossary: `A` [R, i] and `B` [o, R] the factors of all adapters side by side, `k` ranks kept.

/// The largest singular directions of a weighted sum of LoRA updates.
package struct LoRASVD: MergeMethod {
  package static let info = MethodInfo(
    id: "lora_svd",
    title: "LoRA, truncated SVD",
    formula:
      "sum(w_m (alpha_m / r_m) B_m A_m) = U S VT;  A = VT[:k];  B = U[:,:k] S[:k];  r = k;  "
      + "alpha = r",
    summary:
      "The adapter of rank k that is nearest to the weighted sum of the updates, module by module. "
      + "Ranks and scalings may differ. The sum itself is never formed: its SVD comes from those of "
      + "the factors. Other tensors are averaged.",
    source:
      "LoRA: Hu et al. 2022 (arXiv 2106.09685); peft's add_weighted_adapter, combination_type "
      + "'svd', from 0.21 on; before, it multiplied each "
      + "update by its scaling twice. Deviations: ranks beyond those that the sum has are zeros; "
      + "there is no svd_clamp, which depends on the signs of singular vectors.",
    needsBase: false, needsFisher: false, isPermutationInvariant: false, isForAdapters: true,
    // The update is kept, not its factors, which may be shared out in many ways.
    foldsScaling: true, changesShapes: true, keepsEqualModels: false, scalesWithInputs: false,
    options: LoRAOptions.schema + [
      OptionSchema(
        "rank", .integer(0...65536), default: .int(0),
        "Rank k of the result; 0 is the largest of the adapters' own, module by module.")
    ])

  private let options: LoRAOptions
  private let rank: Int

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    self.options = try LoRAOptions(options)
    rank = try options.integer("rank")
  }

  package func assembly(of outline: TensorOutline) throws(DFMergeError) -> TensorAssembly {
    guard let factor = try options.factor(outline) else { return .elementwise }
    let ranks: [Int]
    switch factor.ranks(outline) {
    case .failure(let refusal): return .refused(refusal.text)
    case .success(let found): ranks = found
    }
    guard let partners = outline.partners(factor.partner), let other = LoRAFactor(factor.partner),
      partners.map(other.rank) == ranks
    else {
      return .refused(
        "'\(outline.name)' comes without '\(factor.partner)' of the same rank in every adapter")
    }
    let total = ranks.reduce(0, &+)
    let kept = rank > 0 ? rank : ranks.max() ?? 0
    let own = LoRASVD.width(of: outline.shape, factor)
    let facing = partners.first.map { LoRASVD.width(of: $0, other) } ?? 0
    let (rows, columns) = factor.side == .up ? (own, facing) : (facing, own)
    return .whole(
      WholeTensor(
        shape: try factor.shape(outline.shape, withRank: kept), partners: [factor.partner],
        memory: LoRASVD.memory(rows: rows, columns: columns, ranks: total)))
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard let factor = LoRAFactor(tile.name) else { return LoRAOptions.mean(tile) }
    let own = zip(tile.models, tile.modelShapes).map { WholeInput($0, shape: $1) }
    guard let partner = tile.partners[factor.partner], let kept = factor.rank(tile.shape) else {
      throw DFMergeError(
        .internalError, "Tensor '\(tile.name)' came without its partner; please report this.")
    }
    let (downs, ups) = factor.side == .down ? (own, partner) : (partner, own)
    let sum: Terms
    do throws(DFMergeError) {
      sum = try LoRASVD.decompose(downs, ups, try options.factors(tile), keeping: kept)
    } catch {
      guard error.code == .nonFinite else { throw error }
      // NaN in, NaN out: the engine says where, or lets it pass.
      return tile.out.store([Double](repeating: .nan, count: tile.count))
    }
    var values = [Double](repeating: 0, count: tile.count)
    let width = tile.count / kept
    switch factor.side {
    case .down:
      for (place, value) in sum.vt.elements.enumerated() { values[place] = value }
    case .up:
      for row in 0..<width {
        for (k, s) in sum.s.enumerated() { values[row * kept + k] = sum.u[row, k] * s }
      }
    }
    return tile.out.store(values)
  }

  // MARK: The decomposition

  private struct Terms {
    let u: Matrix
    let s: [Double]
    let vt: Matrix
  }

  /// The `count` largest terms of `sum(c_m B_m A_m)`, as many as there are.
  ///
  /// `B = U1 S1 V1T` and `A = U2 S2 V2T`, so that `B A = U1 (S1 V1T U2 S2) V2T`, whose middle is no
  /// larger than the ranks together.
  private static func decompose(
    _ downs: [WholeInput], _ ups: [WholeInput], _ factors: [Double], keeping count: Int
  ) throws(DFMergeError) -> Terms {
    let (down, up) = try join(downs, ups, factors)
    guard up.columns <= min(up.rows, down.columns) else {
      let all = try SingularValueDecomposition(try Matrix.product(up, down), keeping: count)
      return Terms(u: all.u, s: all.s, vt: all.vt)
    }
    let left = try SingularValueDecomposition(up)
    let right = try SingularValueDecomposition(down)
    var middle = try Matrix.product(left.vt, right.u)
    for row in 0..<middle.rows {
      for column in 0..<middle.columns { middle[row, column] *= left.s[row] * right.s[column] }
    }
    let core = try SingularValueDecomposition(middle, keeping: count)
    return Terms(
      u: try Matrix.product(left.u, core.u), s: core.s, vt: try Matrix.product(core.vt, right.vt))
  }

  /// The factors of all adapters side by side, the adapters' own factors in `A`.
  private static func join(
    _ downs: [WholeInput], _ ups: [WholeInput], _ factors: [Double]
  ) throws(DFMergeError) -> (down: Matrix, up: Matrix) {
    let ranks = downs.map { $0.shape.dimensions.first ?? 0 }
    let total = ranks.reduce(0, &+)
    let rows = ups.first?.shape.dimensions.first ?? 0
    let columns = (downs.first?.shape.elementCount ?? 0) / max(ranks.first ?? 1, 1)
    var down: [Double] = []
    down.reserveCapacity(total &* columns)
    var up = try Matrix(rows: rows, columns: total)
    var start = 0
    for (number, rank) in ranks.enumerated() {
      down += downs[number].elements.doubles(rank * columns).map { $0 * factors[number] }
      for (place, value) in ups[number].elements.doubles(rows * rank).enumerated() {
        up[place / rank, start + place % rank] = value
      }
      start += rank
    }
    return (try Matrix(rows: total, columns: columns, elements: down), up)
  }

  /// The elements of a factor per rank.
  private static func width(of shape: Shape, _ factor: LoRAFactor) -> Int {
    shape.elementCount / max(factor.rank(shape) ?? 1, 1)
  }

  private static func memory(rows: Int, columns: Int, ranks: Int) -> TileMemory {
    func bytes(_ counts: Int...) -> Int {
      counts.reduce(8) { $0.multipliedReportingOverflow(by: $1).partialValue }
    }
    // The factors and one adapter's as they are read, and the values that are stored.
    let inputs = bytes(3, rows &+ columns, ranks)
    guard ranks <= min(rows, columns) else {
      let most = min(rows, columns)
      return TileMemory(
        heap: inputs &+ bytes(rows, columns) &+ bytes(2, rows &+ columns, most)
          &+ max(
            Matrix.productHeapBytes(rows: rows, inner: ranks, columns: columns),
            SingularValueDecomposition.heapBytes(rows: rows, columns: columns)))
    }
    return TileMemory(
      heap: inputs &+ bytes(2, rows &+ columns, ranks) &+ bytes(8, ranks, ranks)
        &+ max(
          SingularValueDecomposition.heapBytes(rows: rows, columns: ranks),
          SingularValueDecomposition.heapBytes(rows: ranks, columns: columns),
          Matrix.productHeapBytes(rows: rows, inner: ranks, columns: ranks),
          Matrix.productHeapBytes(rows: ranks, inner: ranks, columns: columns)))
  }
}
