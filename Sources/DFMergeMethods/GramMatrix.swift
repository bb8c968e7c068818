import DFMergeCore
import DFMergeKernels

/// The inner products of the models with each other, over a tensor, a row or a model:
/// `G_ij = sum_k (x_ik - b_k) (x_jk - b_k)`. All that spherical methods need to know: their results are
/// linear combinations of the models, with coefficients that depend on these products only.
struct GramMatrix {
  let count: Int
  /// The upper triangle, row by row.
  private let products: [Double]

  /// - Parameter products: as ``sums(_:from:)`` gives them; missing ones are 0.
  init(count: Int, _ products: [Double]) {
    self.count = count
    let missing = GramMatrix.size(count) - products.count
    self.products = missing > 0 ? products + [Double](repeating: 0, count: missing) : products
  }

  /// The products of the elements of a tile.
  init(_ tile: InputTile, from base: Elements?) {
    self.init(count: tile.models.count, GramMatrix.sums(tile, from: base))
  }

  subscript(i: Int, j: Int) -> Double {
    let (low, high) = (min(i, j), max(i, j))
    return products[low * count - low * (low - 1) / 2 + high - low]
  }

  /// The length of model `i`.
  func norm(_ i: Int) -> Double { self[i, i].squareRoot() }

  /// The length of `sum_i c_i x_i`.
  func norm(of c: [Double]) -> Double {
    var sum = 0.0
    for i in 0..<count {
      var row = 0.0
      for j in 0..<count { row += c[j] * self[i, j] }
      sum += c[i] * row
    }
    // Rounding may leave a little below 0.
    return max(sum, 0).squareRoot()
  }

  /// What a method asks for to get the products of whole tensors, or of the model.
  static func request(models: Int, scope: StatisticScope) -> SumsRequest {
    SumsRequest("gram", count: size(models), scope: scope)
  }

  /// What a tile adds to them.
  static func sums(_ tile: InputTile, from base: Elements?) -> [Double] {
    Kernels.gram(of: tile.models, minus: base, count: tile.count)
  }

  private static func size(_ count: Int) -> Int { count * (count + 1) / 2 }
}

extension MergeTile {
  /// Writes `sum_m c_m x_m`; with `base`, `b + sum_m c_m (x_m - b)`.
  func combine(_ coefficients: [Double], from base: Elements?) -> StoreOutcome {
    guard let base else {
      return Kernels.linearCombination(
        into: out, inputs.models, weights: coefficients, count: inputs.count)
    }
    return Kernels.taskVectorSum(
      into: out, base: base, models: inputs.models, coefficients: coefficients,
      count: inputs.count)
  }
}
