import DFMergeCore

/// The space-filling start as an endless list of points, in blocks of ``OptimizerOptions/initial``.
///
/// A run takes the first point of the list that it has not evaluated, so the list's position is
/// part of the history and needs no counter. Later blocks serve runs whose first trials all
/// failed.
struct InitialDesign {
  let options: OptimizerOptions
  let dimension: Int

  private var blockLength: Int { min(max(options.initial, 1), InitialDesign.longestBlock) }

  /// A start longer than this is made of several blocks; keeps memory in bounds for any `initial`.
  private static let longestBlock = 1024

  func firstPoint(notIn known: [[Double]]) -> [Double] {
    // With n points known, one of the first n + 1 distinct points is new.
    for block in 0...(known.count / blockLength + 1) {
      let values = points(ofBlock: block)
      for i in 0..<blockLength {
        let point = Array(values[(i * dimension)..<((i + 1) * dimension)])
        if !known.contains(point) { return point }
      }
    }
    return [Double](repeating: 0.5, count: dimension)
  }

  /// [blockLength, d], row-major.
  func points(ofBlock block: Int) -> [Double] {
    switch options.design {
    case .uniform:
      let length = blockLength * dimension
      return MersenneTwister.uniforms(
        seed: UInt32(truncatingIfNeeded: options.seed), from: block * length, count: length)
    case .sobol:
      return SpaceFilling.points(
        count: blockLength, dimension: dimension,
        random: CounterRandom(
          seed: options.seed, purpose: "design", index: UInt64(truncatingIfNeeded: block)))
    }
  }
}
