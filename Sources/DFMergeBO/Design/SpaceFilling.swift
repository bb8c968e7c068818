import DFMergeCore
import Glibc

/// Evenly spread points of the unit cube, and numbers drawn from normal distributions.
enum SpaceFilling {
  /// `count` points [count, dimension], row-major, each coordinate inside (0, 1).
  ///
  /// Definition: scrambled Sobol' points (``SobolSequence``) up to 32 dimensions; beyond, a Latin
  /// hypercube with a uniform offset in each cell, whose one-dimensional balance is as good and
  /// whose pairs are merely random.
  /// Determinism: a pure function of (count, dimension, random's seed and stream).
  static func points(count: Int, dimension: Int, random: CounterRandom) -> [Double] {
    var values = [Double](repeating: 0, count: count * dimension)
    if dimension <= SobolSequence.maximumDimension {
      let sequence = SobolSequence(dimension: dimension, random: random)
      for i in 0..<count {
        sequence.write(UInt32(truncatingIfNeeded: i), to: &values, at: i * dimension)
      }
      return values
    }
    var random = random
    for j in 0..<dimension {
      let order = permutation(count, &random)
      for i in 0..<count {
        let value = (Double(order[i]) + random.uniform()) / Double(count)
        values[i * dimension + j] = min(max(value, 0x1p-53), 1 - 0x1p-53)
      }
    }
    return values
  }

  /// Standard normal draws [rows, columns], row-major: each row a Latin hypercube over the
  /// columns, so that its mean and spread are those of the distribution even for few columns.
  static func normals(rows: Int, columns: Int, random: CounterRandom) -> [Double] {
    var random = random
    let quantiles = (0..<columns).map { Normal.quantile((Double($0) + 0.5) / Double(columns)) }
    var values: [Double] = []
    values.reserveCapacity(rows * columns)
    for _ in 0..<rows {
      for k in permutation(columns, &random) { values.append(quantiles[k]) }
    }
    return values
  }

  /// One standard normal draw (Box and Muller), from two uniform numbers.
  static func normal(_ random: inout CounterRandom) -> Double {
    let radius = (-2 * log(1 - random.uniform())).squareRoot()
    return radius * cos(2 * Double.pi * random.uniform())
  }

  /// A random order of 0 ..< count (Fisher and Yates).
  private static func permutation(_ count: Int, _ random: inout CounterRandom) -> [Int] {
    var order = Array(0..<count)
    for i in stride(from: count - 1, to: 0, by: -1) {
      let k = min(Int(random.uniform() * Double(i + 1)), i)
      order.swapAt(i, k)
    }
    return order
  }
}
