import DFMergeCore
import DFMergeKernels
import DFMergeLinearAlgebra

/// Isotropic merging in common and task-specific subspaces.
package struct IsoCTS: MergeMethod {
  package static let info = MethodInfo(
    id: "iso_cts",
    title: "Iso-CTS",
    formula:
      "matrices of n singular values: d = round((n - floor(common n)) / M), K = n - d M;  "
      + "U_c, s_c, V_c: the first K terms of sum(tau_m);  U_m, s_m, V_m: the first d terms of "
      + "tau_m - U_c U_cT tau_m;  U = [U_1 ... U_M, U_c], V and s alike;  "
      + "theta = theta0 + lambda mean(s) P(U) P(V)T,  P(A) the orthogonal polar factor of A\n"
      + "others: theta = theta0 + lambda mean(tau_m)",
    summary:
      "Iso-C whose weakest common directions make room for the strongest that each task has beyond "
      + "them; better than Iso-C for many models. Choose lambda on validation data, from 0 to 3. "
      + "Costs M + 3 singular value decompositions per matrix, which is in memory whole.",
    source:
      "Marczak et al. 2025 (arXiv 2502.04959), authors' code; rounding is half to even. Equal to "
      + "fusion_bench's iso_cts with exclude [] and lambda as its scaling_factor. Deviations: d is "
      + "at most floor(n / M), for their code has no K below 0; directions that the stacked vectors "
      + "lack (singular values of U or V up to 1e-8 of the largest) are left out, where the authors' "
      + "result has arbitrary ones.",
    needsBase: true, needsFisher: false,
    options: [
      MatrixTensors.isoOptions[0],
      OptionSchema(
        "common", .number(0...1), default: .double(0.8),
        "Share of a matrix's singular directions that are common to all models; the others are "
          + "dealt out to the models."),
      MatrixTensors.isoOptions[1],
    ])

  private let matrices: MatrixTensors
  private let lambda: Double
  private let common: Double
  private let modelCount: Int

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    matrices = MatrixTensors(options)
    lambda = try options.number("lambda")
    common = try options.number("common")
    self.modelCount = max(modelCount, 1)
  }

  package func unit(of shape: Shape, named name: String) -> TileUnit {
    matrices.unit(of: shape, named: name)
  }

  package func memory(count: Int, shape: Shape, named name: String) -> TileMemory {
    guard let (rows, columns) = matrices.size(of: shape, named: name) else { return TileMemory() }
    let own = ownDirections(of: min(rows, columns))
    let shared = min(rows, columns) &- own &* modelCount
    // The common terms stay; beside them a task vector in its place, and its projection.
    let terms =
      Matrix.byteCount(rows: rows, columns: shared)
      &+ Matrix.byteCount(rows: shared, columns: columns) &* 2
      &+ Matrix.byteCount(rows: rows, columns: columns)
    let stacked = StackedVectors.memory(
      rows: rows, columns: columns, kept: min(rows, columns), decomposing: max(own, shared))
    return TileMemory(heap: stacked.heap &+ terms)
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard matrices.contains(tile.shape, named: tile.name) else {
      return tile.storeMean(scale: lambda)
    }
    return try tile.inputs.naming { () throws(DFMergeError) in
      let (rows, columns) = (tile.shape.dimensions[0], tile.shape.dimensions[1])
      let own = ownDirections(of: min(rows, columns))
      let shared = try SingularValueDecomposition(
        try tile.inputs.summedTaskMatrix(), keeping: min(rows, columns) &- own &* modelCount)
      var stack = try StackedVectors(
        rows: rows, columns: columns, capacity: min(rows, columns))
      for model in tile.models.indices where own > 0 {
        var rest = try tile.inputs.taskMatrix(model)
        let projection = try Matrix.product(shared.u, rest, transposing: .first)
        try rest.add(shared.u, projection, scale: -1)
        stack.append(try SingularValueDecomposition(rest, keeping: own))
      }
      stack.append(shared)
      let value = stack.s.mean
      return tile.store(
        try stack.decorrelated(values: stack.s.map { _ in value }), scale: lambda)
    }
  }

  /// The directions that each model has for itself, of `count`.
  private func ownDirections(of count: Int) -> Int {
    let dealt = Double(count - Int(common * Double(count))) / Double(modelCount)
    return min(Int(dealt.rounded(.toNearestOrEven)), count / modelCount)
  }
}
