import DFMergeCore
import DFMergeKernels

/// A way to merge models, given one aligned tile at a time.
///
/// To add a method: one file with a type that conforms to this protocol, one line in
/// ``MethodRegistry``, one test. Nothing else changes: the C API, the bindings, the option checks
/// and the listings read `info`.
package protocol MergeMethod: Sendable {
  /// What the method is, takes and needs.
  static var info: MethodInfo { get }

  /// Makes the method from options that have been checked against `info.options`.
  init(options: OptionValues, modelCount: Int) throws(DFMergeError)

  /// Whole-model figures that `merge` reads from `MergeTile.statistics`; computed in a first pass.
  var statistics: Set<ModelStatistic> { get }

  /// Writes `tile.out`. A pure function of the tile: no input or output, no threads, and the same
  /// bits for any way of cutting a tensor into tiles. Returns what its kernels noticed.
  func merge(_ tile: MergeTile) -> StoreOutcome

  /// What the tile adds to `ModelStatistic.signBalance`; a pure function of the tile, whose
  /// statistics hold the thresholds that the method asks for. Methods that do not ask for the
  /// balance need not say.
  func signBalance(_ tile: TaskVectorTile) -> Int
}

extension MergeMethod {
  package var statistics: Set<ModelStatistic> { [] }
  package func signBalance(_ tile: TaskVectorTile) -> Int { 0 }
}

/// A figure over all merged tensors of each model, with a fixed order of summation.
package enum ModelStatistic: Hashable, Sendable {
  /// `sum(F_m^2)` for each model m.
  case fisherSumOfSquares
  /// The `k_m`-th largest `|theta_m - theta0|` for each model m, `k_m` elements being the share
  /// `densities[m]` of them; see `MagnitudeSelection`.
  case taskVectorThreshold(
    densities: [Double], scope: StatisticScope, keeping: KeptCount = .floor)
  /// One number: how many elements of all tensors have a positive vote less how many have a
  /// negative one, as ``MergeMethod/signBalance(_:)`` counts.
  case signBalance

  /// How often base and models are read for it, at most.
  /// - Parameter doubles: whether some operand is F64.
  package func weightPasses(doubles: Bool) -> Int {
    switch self {
    case .fisherSumOfSquares: 0
    case .taskVectorThreshold(let densities, _, _):
      densities.allSatisfy { $0 >= 1 } ? 0 : doubles ? 3 : 2
    case .signBalance: 1
    }
  }

  /// How often the Fisher values are read for it.
  package var fisherPasses: Int { self == .fisherSumOfSquares ? 1 : 0 }
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

  /// The number of `count` elements that are kept.
  package func rank(of count: Int, density: Double) -> Int {
    let share = min(Int(Double(count) * min(max(density, 0), 1)), count)
    return self == .floor ? share : min(share + 1, count)
  }
}

/// A run of elements of base and models that is looked at before a merge.
package struct TaskVectorTile {
  package let base: Elements
  package let models: [Elements]
  package let count: Int
  /// As in ``MergeTile``.
  package let tensorKey: UInt64
  package let offset: Int
  package let statistics: [ModelStatistic: [Double]]

  package init(
    base: Elements, models: [Elements], count: Int, tensorKey: UInt64, offset: Int,
    statistics: [ModelStatistic: [Double]]
  ) {
    self.base = base
    self.models = models
    self.count = count
    self.tensorKey = tensorKey
    self.offset = offset
    self.statistics = statistics
  }
}

/// The same run of elements of every input, and where the result goes.
package struct MergeTile {
  package let base: Elements?
  package let models: [Elements]
  /// One per model, or empty where this tensor has no Fisher values.
  package let fishers: [FisherElements]
  package let out: MutableElements
  package let count: Int
  /// A hash of the tensor's name: the key of random numbers.
  package let tensorKey: UInt64
  /// The number of the tile's first element within its tensor.
  package let offset: Int
  /// One number per model for each statistic asked for, those of this tensor where it is taken
  /// within each tensor.
  package let statistics: [ModelStatistic: [Double]]
  /// The group of tensors that this one belongs to, for methods with coefficients by group.
  package let group: Int

  package init(
    base: Elements?, models: [Elements], fishers: [FisherElements], out: MutableElements,
    count: Int, tensorKey: UInt64 = 0, offset: Int = 0,
    statistics: [ModelStatistic: [Double]] = [:], group: Int = 0
  ) {
    self.base = base
    self.models = models
    self.fishers = fishers
    self.out = out
    self.count = count
    self.tensorKey = tensorKey
    self.offset = offset
    self.statistics = statistics
    self.group = group
  }
}

/// What a method is and takes: the source of its listing, its documentation and its option checks.
public struct MethodInfo: Sendable {
  /// The name by which every door calls it.
  public let id: String
  public let title: String
  /// The formula, in code letters: theta0 base, theta_m model, tau_m = theta_m - theta0, F_m
  /// Fisher.
  public let formula: String
  /// When to use it and how it behaves at the edges.
  public let summary: String
  /// Paper and equation, with our deviations.
  public let source: String
  public let needsBase: Bool
  public let needsFisher: Bool
  /// Whether another order of the models gives the same result up to the last bit.
  public let isPermutationInvariant: Bool
  public let options: [OptionSchema]

  package init(
    id: String, title: String, formula: String, summary: String, source: String,
    needsBase: Bool, needsFisher: Bool, isPermutationInvariant: Bool = true,
    options: [OptionSchema]
  ) {
    self.id = id
    self.title = title
    self.formula = formula
    self.summary = summary
    self.source = source
    self.needsBase = needsBase
    self.needsFisher = needsFisher
    self.isPermutationInvariant = isPermutationInvariant
    self.options = options
  }

  /// Everything above as a JSON object.
  public var json: JSONValue {
    .object([
      "id": .string(id), "title": .string(title), "formula": .string(formula),
      "summary": .string(summary), "source": .string(source), "needs_base": .bool(needsBase),
      "needs_fisher": .bool(needsFisher), "options": .array(options.map(\.json)),
    ])
  }
}
