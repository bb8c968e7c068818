import DFMergeCore
import DFMergeKernels
import DFMergeLinearAlgebra

/// Task singular vectors: the strongest directions of every task, made orthogonal to each other.
package struct TSVM: MergeMethod {
  package static let info = MethodInfo(
    id: "tsv_m",
    title: "TSV-M",
    formula:
      "matrices: tau_m = U_m diag(s_m) VT_m, the first k terms;  U = [U_1 ... U_M], V alike;  "
      + "theta = theta0 + lambda P(U) diag(s_1 ... s_M) P(V)T,  P(A) the orthogonal polar factor "
      + "of A\nothers: theta = theta0 + lambda mean(tau_m)",
    summary:
      "Keeps the k strongest directions of each task's change of a weight matrix and removes "
      + "what they have in common, so that tasks do not disturb each other. A matrix that is smaller "
      + "than the number of models is left as the base has it. Choose lambda on validation data, "
      + "from 0 to 3. Costs M + 2 singular value decompositions per matrix, which is in memory "
      + "whole.",
    source:
      "Gargiulo et al. 2025 (arXiv 2412.00081), authors' code. rank 1 is their lossless variant; "
      + "their 'eigen' variant computes the same factor in another way. Deviation: directions that "
      + "several models share exactly count once, where the authors' result has arbitrary ones in "
      + "place of the others (singular values of U or V up to 1e-8 of the largest).",
    needsBase: true, needsFisher: false,
    options: [
      MatrixTensors.isoOptions[0],
      OptionSchema(
        "rank", .numberOrChoice(0...1, ["equal"]), default: .string("equal"),
        "Share of a matrix's singular directions that is kept of each model, k = floor(rank n) of "
          + "n; 'equal' is k = floor(n / M) for M models."),
      MatrixTensors.isoOptions[1],
    ])

  /// Singular values of stacked vectors up to this share of the largest are rounding.
  static let cutoff = 1e-8

  private let matrices: MatrixTensors
  private let lambda: Double
  private let modelCount: Int
  /// Nil for equal shares.
  private let rank: Double?

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    matrices = MatrixTensors(options)
    lambda = try options.number("lambda")
    if options.word("rank") == nil {
      rank = try options.number("rank")
    } else {
      rank = nil
    }
    self.modelCount = modelCount
  }

  package func unit(of shape: Shape, named name: String) -> TileUnit {
    matrices.unit(of: shape, named: name)
  }

  package func memory(count: Int, shape: Shape, named name: String) -> TileMemory {
    guard let (rows, columns) = matrices.size(of: shape, named: name) else { return TileMemory() }
    return StackedVectors.memory(
      rows: rows, columns: columns, kept: kept(of: min(rows, columns)) &* modelCount,
      decomposing: kept(of: min(rows, columns)))
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard matrices.contains(tile.shape, named: tile.name) else {
      return tile.storeMean(scale: lambda)
    }
    return try tile.inputs.naming { () throws(DFMergeError) in
      let kept = kept(of: tile.shape.dimensions.min() ?? 0)
      var stack = try StackedVectors(
        rows: tile.shape.dimensions[0], columns: tile.shape.dimensions[1],
        capacity: kept &* modelCount)
      for model in tile.models.indices where kept > 0 {
        stack.append(
          try SingularValueDecomposition(try tile.inputs.taskMatrix(model), keeping: kept))
      }
      return tile.store(try stack.decorrelated(values: stack.s), scale: lambda)
    }
  }

  /// The directions kept of each model.
  private func kept(of count: Int) -> Int {
    rank.map { min(Int(Double(count) * $0), count) } ?? count / max(modelCount, 1)
  }
}
