import DFMergeCore
import DFMergeKernels
import Glibc

/// The point of the sphere with the least sum of squared angles to the models' directions.
package struct KarcherMean: MergeMethod {
  package static let info = MethodInfo(
    id: "karcher",
    title: "Karcher mean",
    formula:
      "theta = sum(w_m |theta_m|) mu;  mu = argmin sum(w_m angle(mu, theta_m / |theta_m|)^2), |mu| = 1",
    summary:
      "The mean direction as the sphere's own geometry has it, tensor by tensor, at the models' mean "
      + "length. For two models it lies half-way on the arc, as SLERP's; for close ones it is near "
      + "that of 'multislerp'. Tensors no longer than tol take no part; where none does, the result "
      + "is 0.",
    source:
      "No paper; mergekit's karcher: fixed-point iteration from the normalised mean, 10 steps, tolerance 1e-5, "
      + "equal weights. Deviations: weights are ours; the iteration runs on inner products in "
      + "double, so that the inputs are read twice for any number of steps, and angles below 1e-8 "
      + "are lost; a model opposite to the mean, to which there is no one way, is passed over in "
      + "that step.",
    needsBase: false, needsFisher: false,
    options: [
      OptionSchema(
        "weights", .numberPerModel(0...1e6), default: .double(1),
        "Weight of each model, divided by their sum."),
      OptionSchema(
        "max_iter", .integer(0...100_000), default: .int(10), "The most steps."),
      OptionSchema(
        "tol", .number(0...1), default: .double(1e-5),
        "The iteration ends at a step shorter than this; shorter tensors and smaller angles count "
          + "as 0."),
    ])

  private let weights: [Double]
  private let maximum: Int
  private let tolerance: Double
  private let request: SumsRequest

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    weights = try options.weights(of: "karcher", normalized: true)
    maximum = try options.integer("max_iter")
    tolerance = try options.number("tol")
    request = GramMatrix.request(models: modelCount, scope: .tensor)
  }

  package var statistics: [ModelStatistic] { [.sums(request)] }

  package func sums(_ tile: InputTile, _ request: SumsRequest) -> [Double] {
    GramMatrix.sums(tile, from: nil)
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    if tile.models.count == 1 {
      return Kernels.convert(into: tile.out, tile.models[0], count: tile.count)
    }
    let gram = GramMatrix(count: weights.count, tile.statistics[.sums(request)] ?? [])
    return tile.combine(coefficients(gram), from: nil)
  }

  /// What the models are multiplied by. Points of the sphere are kept as combinations of the models.
  private func coefficients(_ gram: GramMatrix) -> [Double] {
    let lengths = weights.indices.map { gram.norm($0) }
    let scale = zip(weights, lengths).reduce(0) { $0 + $1.0 * $1.1 }
    // NaN takes part, so that it comes out.
    let valid = weights.indices.filter { !(lengths[$0] <= tolerance) && weights[$0] > 0 }
    let sum = valid.reduce(0) { $0 + weights[$1] }
    guard let first = valid.first else { return weights.map { _ in 0 } }
    var mean = weights.map { _ in 0.0 }
    for i in valid { mean[i] = weights[i] / sum / lengths[i] }
    let length = gram.norm(of: mean)
    if length < max(tolerance, .leastNormalMagnitude) {
      mean = weights.map { _ in 0 }
      mean[first] = 1 / lengths[first]
    } else {
      mean = mean.map { $0 / length }
    }
    for _ in 0..<maximum {
      var step = weights.map { _ in 0.0 }
      for i in valid {
        let product = weights.indices.reduce(0) { $0 + mean[$1] * gram[$1, i] } / lengths[i]
        let cosine = product.isNaN ? product : min(max(product, -1), 1)
        let angle = acos(cosine)
        let sine = sin(angle)
        // Near the opposite of the mean, rounding would decide where to go.
        guard !(angle < tolerance), !(sine < 1e-6) else { continue }
        let factor = weights[i] / sum * angle / sine
        step[i] += factor / lengths[i]
        for j in step.indices { step[j] -= factor * cosine * mean[j] }
      }
      let length = gram.norm(of: step)
      guard length >= tolerance, length > 0 else { break }
      let (along, across) = (cos(length), sin(length) / length)
      mean = zip(mean, step).map { along * $0 + across * $1 }
      let unit = gram.norm(of: mean)
      if unit > tolerance { mean = mean.map { $0 / unit } }
    }
    return mean.map { $0 * scale }
  }
}
