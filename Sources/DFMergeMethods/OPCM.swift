import DFMergeCore
import DFMergeKernels
import DFMergeLinearAlgebra

/// Orthogonal projection based continual merging.
///
/// The authors rescale the merged change after every model and multiply it by the same factor again
/// before the next. Their `lambda(t-1) (theta(t-1) - theta0)` is therefore
/// `E_(t-1)`, the sum of what the models have added so far, and it obeys a rule of its own that
/// knows nothing of other tensors: `E_t = E_(t-1) + P(tau_t)`. The singular vectors by which `P`
/// projects are those of `E_(t-1)`, for a factor does not change them. So all models are merged
/// tensor by tensor, and only the last factor needs the norms of whole models.
package struct OPCM: MergeMethod {
  package static let info = MethodInfo(
    id: "opcm",
    title: "OPCM",
    formula:
      "E = merged_lambda (theta_1 - theta0);  for m = 2 ... M: E += P(tau_m), "
      + "of matrices with E = U diag(s) VT: P(tau) = tau - U Z VT, Z = UT tau V where both "
      + "indices are below r, or both are the same, else 0; r: the first with s_0 + ... + s_r > "
      + "alpha sum(s); of others: P(tau) = tau\n"
      + "theta = theta0 + c E,  c = mean(|tau_1|, ..., |tau_t|) / |E|  (over the whole model)",
    summary:
      "Merges models in the order given, as they come: each adds to the result what lies outside of "
      + "the strongest directions of what is there. To go on later, pass the result (saved in F32: "
      + "narrower types round the change away) as the first model, with the merged_count and "
      + "merged_lambda that its report and its recipe hold under 'figures'. Costs one singular value "
      + "decomposition per matrix and further model. What was computed is kept in memory for the "
      + "final rescaling (4 bytes per element of a matrix, 8 for F64; up to max_memory, without it "
      + "up to 2 GiB), and computed a second time where it is not.",
    source:
      "Tang et al. 2025 (arXiv 2501.09522), authors' code, as the paper and fusion_bench have the "
      + "diagonal; zero_diagonal false is what the authors' release does, where clearing it has no "
      + "effect. Deviations: directions in which E is 0 are not projected away, for they are "
      + "arbitrary; alpha 1 closes every direction to new models, where the code closes none. Embeddings "
      + "are not projected, as in the code, which asks for linear layers; here names tell.",
    needsBase: true, needsFisher: false, isPermutationInvariant: false,
    options: [
      OptionSchema(
        "alpha", .number(0...1), default: .double(0.5),
        "Share of the sum of singular values that the directions kept free of new models hold."),
      OptionSchema(
        "zero_diagonal", .flag, default: .bool(true),
        "Whether a new model may not strengthen any single direction of what is there either."),
      OptionSchema(
        "merged_count", .integer(1...1_000_000_000), default: .int(1),
        "How many models the first one is the result of."),
      OptionSchema(
        "merged_lambda", .number(1e-9...1e9), default: .double(1),
        "The factor that the report of the first model's merge gave; 1 for a model by itself."),
      MatrixTensors.schema(
        excluding: ["embed", "shared.weight", "wte.", "wpe.", "relative_attention_bias"],
        "Texts: a matrix whose name holds one of them is merged as other tensors are."),
    ])

  /// The squared norms of the first change, of every further one, and of E.
  private let norms: ModelStatistic
  private let request: SumsRequest
  private let matrices: MatrixTensors
  private let projection: DirectionProjection
  private let mergedCount: Int
  private let mergedLambda: Double
  private let modelCount: Int

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    matrices = MatrixTensors(options)
    projection = DirectionProjection(
      alpha: try options.number("alpha"), zeroesDiagonal: try options.flag("zero_diagonal"))
    mergedCount = try options.integer("merged_count")
    mergedLambda = try options.number("merged_lambda")
    self.modelCount = modelCount
    request = SumsRequest("norms", count: modelCount &+ 1, scope: .model, ofWholeUnits: true)
    norms = .sums(request)
  }

  /// None for one model, which is the result.
  package var statistics: [ModelStatistic] { modelCount > 1 ? [norms] : [] }

  package func unit(of shape: Shape, named name: String) -> TileUnit {
    modelCount > 1 ? matrices.unit(of: shape, named: name) : .elements
  }

  package func keeps(_ shape: Shape, named name: String) -> Bool {
    modelCount > 1 && matrices.contains(shape, named: name)
  }

  package func memory(count: Int, shape: Shape, named name: String) -> TileMemory {
    guard modelCount > 1 else { return TileMemory() }
    guard let (rows, columns) = matrices.size(of: shape, named: name) else {
      return TileMemory(workspace: count &* 8)
    }
    // The sum, and at the end the same in single precision.
    let own = Matrix.byteCount(rows: rows, columns: columns) &* 3 / 2
    return TileMemory(heap: own &+ DirectionProjection.heapBytes(rows: rows, columns: columns))
  }

  package func sums(_ tile: InputTile, _ request: SumsRequest) throws(DFMergeError) -> [Double] {
    guard matrices.contains(tile.shape, named: tile.name) else { return elementSums(tile) }
    var sums: [Double] = []
    let sum = try accumulated(tile) { sums.append($0) }
    sums.append(
      sum.withNumbers { numbers in
        if let kept = tile.kept { Kernels.convert(into: kept, numbers, count: tile.count) }
        return Kernels.sumOfSquares(numbers, count: tile.count)
      } ?? 0)
    return sums
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard let base = tile.base else { return StoreOutcome() }
    guard modelCount > 1 else {
      return Kernels.convert(into: tile.out, tile.models[0], count: tile.count)
    }
    let scale = scale(tile.statistics)
    guard matrices.contains(tile.shape, named: tile.name) else {
      return Kernels.taskVectorSum(
        into: tile.out, base: base, models: tile.models, coefficients: factors.map { scale * $0 },
        count: tile.count)
    }
    func store(_ sum: Elements) -> StoreOutcome {
      Kernels.linearCombination(
        into: tile.out, [base, sum], weights: [1, scale], count: tile.count)
    }
    if let kept = tile.kept { return store(kept.readable) }
    let sum = try accumulated(tile.inputs) { _ in }
    let rounded = InputTile.keptDType(for: tile.out.dtype)
    return sum.withNumbers { numbers in
      guard rounded == .f32 else { return store(numbers) }
      // The bits that would have been kept.
      var narrow = [Float](repeating: 0, count: tile.count)
      return narrow.withUnsafeMutableBytes { bytes in
        guard let start = bytes.baseAddress else { return StoreOutcome() }
        let room = MutableElements(pointer: start, dtype: .f32)
        Kernels.convert(into: room, numbers, count: tile.count)
        return store(room.readable)
      }
    } ?? StoreOutcome()
  }

  package func reported(_ statistics: [ModelStatistic: [Double]]) -> [String: Double] {
    [
      "merged_count": Double(mergedCount &+ modelCount &- 1),
      "merged_lambda": modelCount > 1 ? 1 / scale(statistics) : mergedLambda,
    ]
  }

  /// What each model's task vector is multiplied by where nothing is projected.
  private var factors: [Double] {
    [mergedLambda] + [Double](repeating: 1, count: modelCount &- 1)
  }

  /// `c`; 1 where nothing has changed.
  private func scale(_ statistics: [ModelStatistic: [Double]]) -> Double {
    let roots = (statistics[norms] ?? []).map { $0.squareRoot() }
    guard roots.count == modelCount &+ 1, let sum = roots.last, sum > 0 else { return 1 }
    // The first one's norm is the mean of those that it is made of.
    let further = roots[1..<modelCount].reduce(0, +)
    let total = Double(mergedCount &+ modelCount &- 1)
    let mean = (Double(mergedCount) * roots[0] + further) / total
    let scale = mean / sum
    // A norm that is no number leaves the tensor with such elements to be named.
    return scale > 0 && scale.isFinite ? scale : 1
  }

  /// `E` of a whole matrix; `visit` hears the squared norm of each task vector.
  private func accumulated(
    _ tile: InputTile, _ visit: (Double) -> Void
  ) throws(DFMergeError) -> Matrix {
    try tile.naming { () throws(DFMergeError) in
      func squaredNorm(_ task: Matrix) -> Double {
        task.withNumbers { Kernels.sumOfSquares($0, count: tile.count) } ?? 0
      }
      var sum = try tile.taskMatrix(0)
      visit(squaredNorm(sum))
      sum.multiply(by: mergedLambda)
      for model in tile.models.indices.dropFirst() {
        let directions = try projection.directions(of: sum)
        let task = try tile.taskMatrix(model)
        visit(squaredNorm(task))
        sum.add(try projection.outside(of: directions, task))
      }
      return sum
    }
  }

  /// The same sums of a run of elements of which nothing is projected.
  private func elementSums(_ tile: InputTile) -> [Double] {
    guard let base = tile.base, let start = tile.workspace.baseAddress,
      tile.workspace.count >= tile.count &* 8
    else { return [] }
    let room = MutableElements(pointer: start, dtype: .f64)
    func squaredNorm(_ inputs: [Elements], _ weights: [Double]) -> Double {
      Kernels.linearCombination(into: room, inputs, weights: weights, count: tile.count)
      return Kernels.sumOfSquares(room.readable, count: tile.count)
    }
    let changes = tile.models.map { squaredNorm([$0, base], [1, -1]) }
    let whole = factors.reduce(0, +)
    return changes + [squaredNorm(tile.models + [base], factors + [-whole])]
  }
}
