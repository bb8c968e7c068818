import DFMergeCore

/// A figure over all merged tensors of each model, with a fixed order of summation.
package enum ModelStatistic: Hashable, Sendable {
  /// `sum(F_m^2)` for each model m.
  case fisherSumOfSquares
  /// The `k_m`-th largest `|theta_m - theta0|` for each model m, `k_m` elements being the share
  /// `densities[m]` of them; see `MagnitudeSelection`.
  case taskVectorThreshold(
    densities: [Double], scope: StatisticScope, keeping: KeptCount = .floor)
  /// Magnitudes `|theta_m - theta0|` of the ranks that ``MergeMethod/rank(_:index:count:statistics:)``
  /// says: selection `index` looks at model `index % models`, and the count is a multiple of the
  /// number of models. All are found together; see `MagnitudeSelection`. A rank of 0 or less gives
  /// infinity, one above the count 0.
  case taskVectorRanks(RankRequest)
  /// Numbers that the method adds up; see ``MergeMethod/sums(_:_:)``.
  case sums(SumsRequest)
  /// Values of given ranks among numbers that the method computes; see
  /// ``MergeMethod/rankedValues(_:_:index:into:)``.
  case ranks(RankRequest)

  /// How often base and models are read for it, at most.
  /// - Parameter doubles: whether some operand is F64.
  package func weightPasses(doubles: Bool) -> Int {
    switch self {
    case .fisherSumOfSquares: 0
    case .taskVectorThreshold(let densities, _, let keeping):
      keeping.isAll(densities) ? 0 : doubles ? 3 : 2
    case .sums: 1
    case .ranks, .taskVectorRanks: doubles ? 3 : 2
    }
  }

  /// How often the Fisher values are read for it.
  package var fisherPasses: Int { self == .fisherSumOfSquares ? 1 : 0 }
}

/// Sums over the elements of a model or of a tensor, in double, in a fixed order.
package struct SumsRequest: Hashable, Sendable {
  /// Tells the requests of a method apart.
  package let name: String
  /// How many numbers are summed.
  package let count: Int
  package let scope: StatisticScope
  /// Whether the tiles are made of the method's units, with its memory; otherwise they are any runs,
  /// which is faster where units are large.
  package let ofWholeUnits: Bool

  package init(_ name: String, count: Int, scope: StatisticScope, ofWholeUnits: Bool = false) {
    self.name = name
    self.count = count
    self.scope = scope
    self.ofWholeUnits = ofWholeUnits
  }
}

/// What a method's sums over one tensor came to.
package struct TensorSums: Sendable {
  package let name: String
  /// The shape of what is merged of the tensor.
  package let shape: Shape
  package let sums: [Double]

  package init(name: String, shape: Shape, sums: [Double]) {
    self.name = name
    self.shape = shape
    self.sums = sums
  }
}

/// Order statistics of numbers that a method computes from each element of its inputs: exact among
/// these numbers as floats, as doubles where an operand is F64. Compare with
/// ``InputTile/ranked(_:)``.
package struct RankRequest: Hashable, Sendable {
  /// Tells the requests of a method apart.
  package let name: String
  /// How many selections there are: one per model, for example.
  package let count: Int
  /// How many lists of values there are: selection `index` looks at list `index % values`, and those
  /// that look at the same one share the work.
  package let values: Int
  package let scope: StatisticScope
  /// The options that ranks and values depend on, where the scope is the model: instances with other
  /// ones then have other requests, each of which is found over all tensors.
  package let parameters: [Double]

  package init(
    _ name: String, count: Int, values: Int? = nil, scope: StatisticScope,
    parameters: [Double] = []
  ) {
    self.name = name
    self.count = count
    self.values = max(min(values ?? count, count), 1)
    self.scope = scope
    self.parameters = scope == .model ? parameters : []
  }
}

/// Over which elements a statistic is taken.
package enum StatisticScope: Hashable, Sendable {
  /// All merged tensors of a model.
  case model
  /// Each tensor by itself.
  case tensor
}

/// How many elements a share of them is.
package enum KeptCount: Hashable, Sendable {
  /// `floor(density n)`.
  case floor
  /// `floor(density n) + 1`, at most n: what a threshold at the `n - floor(density n)`-th smallest
  /// magnitude keeps.
  case floorPlusOne
  /// Those from place `floor(share n) - offset` on of the elements in ascending order, places
  /// counted from 0 and the share given in place of a density; one at least.
  case fromAscending(offset: Int)

  /// The number of `count` elements that are kept.
  package func rank(of count: Int, density: Double) -> Int {
    let share = min(Int(Double(count) * min(max(density, 0), 1)), count)
    return switch self {
    case .floor: share
    case .floorPlusOne: min(share + 1, count)
    case .fromAscending(let offset): count - min(max(share &- offset, 0), max(count - 1, 0))
    }
  }

  /// Whether the smallest element kept is wanted even where all are kept.
  package var isExact: Bool {
    if case .fromAscending = self { true } else { false }
  }

  /// Whether everything is kept, however many elements there are.
  func isAll(_ densities: [Double]) -> Bool {
    if case .fromAscending = self { return densities.allSatisfy { $0 <= 0 } }
    return densities.allSatisfy { $0 >= 1 }
  }
}
