import DFMergeCore
import DFMergeKernels
import Glibc

/// Interpolation of two models, or of their changes, along arcs between tensors, rows or columns.
package struct NuSLERP: MergeMethod {
  package static let info = MethodInfo(
    id: "nuslerp",
    title: "NuSLERP",
    formula:
      "theta = sin((1 - t) phi) / sin(phi) v_1 + sin(t phi) / sin(phi) v_2;  t = w_2 / (w_1 + w_2);  "
      + "v_m = theta_m, phi their angle;  with a base: v_m = tau_m, and theta0 is added",
    summary:
      "SLERP with a weight for each model, between whole tensors, rows or columns; where a base is "
      + "given, between the changes from it. Vectors whose sine is less than 1e-8 are interpolated "
      + "linearly. A vector or scalar tensor is one row and one column.",
    source:
      "No paper; mergekit's nuslerp: scope 'tensor' is its nuslerp_flatten, without it 'row' is the default "
      + "and 'column' its nuslerp_row_wise. Weights that sum to less than 1e-6, in size, give t = "
      + "0.5. Deviation: equal weights by default, where mergekit asks for them.",
    needsBase: false, usesBase: true, needsFisher: false, modelCounts: 2...2,
    isPermutationInvariant: false,
    options: [
      OptionSchema(
        "weights", .numberPerModel(-1e6...1e6), default: .double(1), "Weight of each model."),
      OptionSchema(
        "scope", .choice(["tensor", "row", "column"]), default: .string("tensor"),
        "Between what angles are taken: whole tensors, runs along the last axis, or runs along the "
          + "first axis."),
    ])

  private let t: Double
  private let scope: String
  private let request = GramMatrix.request(models: 2, scope: .tensor)

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    let weights = try options.numberPerModel("weights")
    let sum = weights.reduce(0, +)
    t = abs(sum) < 1e-6 ? 0.5 : (weights.last ?? 0) / sum
    scope = options.word("scope") ?? "tensor"
  }

  package var statistics: [ModelStatistic] { scope == "tensor" ? [.sums(request)] : [] }

  package func unit(of shape: Shape) -> TileUnit {
    switch scope {
    case "row": .rows
    // A vector is one row.
    case "column": shape.dimensions.count > 1 ? .tensor : .rows
    default: .elements
    }
  }

  package func memory(count: Int, shape: Shape) -> TileMemory {
    guard unit(of: shape) == .tensor else { return TileMemory() }
    return TileMemory(workspace: columns(of: shape) * 3 * 8)
  }

  package func sums(_ tile: InputTile, _ request: SumsRequest) -> [Double] {
    GramMatrix.sums(tile, from: tile.base)
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    switch unit(of: tile.shape) {
    case .tensor: return mergeColumns(tile)
    case .rows:
      return try tile.forEachRow { row in
        row.combine(coefficients(GramMatrix(row.inputs, from: row.base)), from: row.base)
      }
    case .elements:
      let gram = GramMatrix(count: 2, tile.statistics[.sums(request)] ?? [])
      return tile.combine(coefficients(gram), from: tile.base)
    }
  }

  private func coefficients(_ gram: GramMatrix) -> [Double] {
    coefficients(gram[0, 0], gram[0, 1], gram[1, 1])
  }

  private func coefficients(_ first: Double, _ product: Double, _ second: Double) -> [Double] {
    let lengths = [max(first.squareRoot(), 1e-7), max(second.squareRoot(), 1e-7)]
    let cosine = product / lengths[0] / lengths[1]
    let phi = acos(cosine.isNaN ? cosine : min(max(cosine, -1), 1))
    return SLERP.arc(phi, t, smallestSine: 1e-8) ?? [1 - t, t]
  }

  /// The number of runs along the first axis.
  private func columns(of shape: Shape) -> Int {
    shape.elementCount / max(shape.dimensions.first ?? 1, 1)
  }

  /// The whole tensor, runs along its first axis: their products first, then the sum.
  private func mergeColumns(_ tile: MergeTile) -> StoreOutcome {
    let width = columns(of: tile.shape)
    guard width > 0, let start = tile.workspace.baseAddress else { return StoreOutcome() }
    let numbers = start.bindMemory(to: Double.self, capacity: 3 * width)
    numbers.update(repeating: 0, count: 3 * width)
    for row in stride(from: 0, to: tile.count, by: width) {
      let base = tile.base?.advanced(by: row)
      for (place, pair) in [(0, 0), (0, 1), (1, 1)].enumerated() {
        Kernels.accumulateProducts(
          into: numbers + place * width, tile.models[pair.0].advanced(by: row),
          tile.models[pair.1].advanced(by: row), minus: base, count: width)
      }
    }
    for column in 0..<width {
      let found = coefficients(
        numbers[column], numbers[width + column], numbers[2 * width + column])
      (numbers[column], numbers[width + column]) = (found[0], found[1])
    }
    var outcome = StoreOutcome()
    for row in stride(from: 0, to: tile.count, by: width) {
      outcome.add(
        Kernels.scaledSum(
          into: tile.out.advanced(by: row), base: tile.base?.advanced(by: row),
          models: tile.models.map { $0.advanced(by: row) },
          factors: [UnsafePointer(numbers), UnsafePointer(numbers + width)], count: width))
    }
    return outcome
  }
}
