import DFMergeCore
import DFMergeKernels
import DFMergeLinearAlgebra

/// Isotropic merging in the common subspace: every direction of the summed change gets its mean
/// singular value.
package struct IsoC: MergeMethod {
  package static let info = MethodInfo(
    id: "iso_c",
    title: "Iso-C",
    formula:
      "matrices: sum(tau_m) = U diag(s) VT;  theta = theta0 + lambda mean(s) U VT\n"
      + "others: theta = theta0 + lambda mean(tau_m)",
    summary:
      "Merges many models well: the sum of the changes of a weight matrix has a few strong "
      + "directions, which hide those of single tasks; here all directions get the same strength. "
      + "Every one of them does, those of noise too: changes of low rank, as of merged LoRA "
      + "adapters, gain strength in arbitrary directions. Choose lambda on validation data, from 0 "
      + "to 3. Costs one singular value decomposition per matrix, which is in memory whole.",
    source:
      "Marczak et al. 2025 (arXiv 2502.04959), authors' code. Equal to fusion_bench's iso_c with "
      + "exclude [] and lambda as its scaling_factor. Computed in double; directions of singular "
      + "values that are exactly 0 are the same on every machine.",
    needsBase: true, needsFisher: false,
    options: MatrixTensors.isoOptions)

  private let matrices: MatrixTensors
  private let lambda: Double

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    matrices = MatrixTensors(options)
    lambda = try options.number("lambda")
  }

  package func unit(of shape: Shape, named name: String) -> TileUnit {
    matrices.unit(of: shape, named: name)
  }

  package func memory(count: Int, shape: Shape, named name: String) -> TileMemory {
    guard let (rows, columns) = matrices.size(of: shape, named: name) else { return TileMemory() }
    // Two of the matrix's size: the sum, and a task vector or the polar factor.
    return TileMemory(
      heap: 2 * Matrix.byteCount(rows: rows, columns: columns)
        &+ PolarFactor.heapBytes(rows: rows, columns: columns))
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard matrices.contains(tile.shape, named: tile.name) else {
      return tile.storeMean(scale: lambda)
    }
    return try tile.inputs.naming { () throws(DFMergeError) in
      let polar = try PolarFactor(try tile.inputs.summedTaskMatrix())
      return tile.store(polar.factor, scale: lambda * polar.singularValues.mean)
    }
  }
}

extension MatrixTensors {
  /// The options of Iso-C, and of Iso-CTS among others.
  static let isoOptions = [
    OptionSchema(
      "lambda", .number(-1e6...1e6), default: .double(1),
      "Multiplies the merged task vector, of all tensors."),
    schema(
      excluding: ["text_projection"],
      "Texts: a matrix whose name holds one of them is merged as other tensors are."),
  ]
}

extension InputTile {
  /// `sum(theta_m - theta0)` of a whole matrix.
  func summedTaskMatrix() throws(DFMergeError) -> Matrix {
    var sum = try taskMatrix(0)
    for model in models.indices.dropFirst() { sum.add(try taskMatrix(model)) }
    return sum
  }
}

extension [Double] {
  /// 0 for no numbers.
  var mean: Double { isEmpty ? 0 : reduce(0, +) / Double(count) }
}
