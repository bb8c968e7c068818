import DFMergeCore

/// A matrix, or another tensor where `layer` is nil.
struct DPPAMatrix {
  let layer: TensorName.Layer?
  let count: Double
  let sums: [Double]
}

/// How many outliers layers and matrices have beside others: scores from -1 to 1.
struct DPPAScores {
  private let modelCount: Int
  private var layers: [TensorName.Layer: (count: Double, sums: [Double])] = [:]
  /// By model: the mean over layers and the largest distance from it.
  private var layerRange: [(mean: Double, most: Double)] = []
  /// By model: what shares are divided by, their weighted mean after that and the largest distance.
  private var matrixRange: [(unit: Double, mean: Double, most: Double)] = []

  /// - Parameter matrices: linear weights only; sums of outliers by model, those of the matrix before
  ///   those of its layer. Sums of sizes serve for means only.
  init(_ matrices: [DPPAMatrix], modelCount: Int) {
    self.modelCount = modelCount
    for matrix in matrices {
      guard let layer = matrix.layer else { continue }
      var own = layers[layer] ?? (0, matrix.sums.map { _ in 0 })
      own.count += matrix.count
      for (place, sum) in matrix.sums.enumerated() { own.sums[place] += sum }
      layers[layer] = own
    }
    guard let width = matrices.first?.sums.count, width == 2 * modelCount else { return }
    let order = layers.keys.sorted { ($0.stack, $0.number) < ($1.stack, $1.number) }
    for model in 0..<modelCount {
      let shares = order.map { layerMean($0, sum: modelCount + model) }
      let mean = shares.reduce(0, +) / Double(max(shares.count, 1))
      layerRange.append((mean, shares.reduce(0) { max($0, abs($1 - mean)) }))
      let own = matrices.map { $0.sums[model] / $0.count }
      let unit = own.reduce(0, +) / Double(max(own.count, 1))
      let total = matrices.reduce(0) { $0 + $1.count }
      let weighted =
        zip(own, matrices).reduce(0) { $0 + $1.0 / unit * $1.1.count } / max(total, 1)
      matrixRange.append((unit, weighted, own.reduce(0) { max($0, abs($1 / unit - weighted)) }))
    }
  }

  /// A sum over a layer by the number of its elements.
  func layerMean(_ layer: TensorName.Layer, sum place: Int) -> Double {
    guard let own = layers[layer], place < own.sums.count else { return 0 }
    return own.sums[place] / own.count
  }

  func layerScore(_ layer: TensorName.Layer, _ model: Int) -> Double {
    guard model < layerRange.count else { return 0 }
    let (mean, most) = layerRange[model]
    return most > 0 ? (layerMean(layer, sum: modelCount + model) - mean) / most : 0
  }

  func matrixScore(_ matrix: DPPAMatrix, _ model: Int) -> Double {
    guard model < matrixRange.count else { return 0 }
    let (unit, mean, most) = matrixRange[model]
    return most > 0 ? (matrix.sums[model] / matrix.count / unit - mean) / most : 0
  }
}
