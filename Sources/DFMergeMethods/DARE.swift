import DFMergeCore
import DFMergeKernels

/// Drop and rescale, then a sum of task vectors.
package struct DARE: MergeMethod {
  package static let info = MethodInfo(
    id: "dare",
    title: "DARE",
    formula: "theta = theta0 + sum(c_m b_m tau_m / density_m);  b_m ~ Bernoulli(density_m)",
    summary:
      "Task arithmetic on task vectors whose elements are dropped at random and the rest scaled "
      + "up, so that the expected result is that of task arithmetic; for small changes, such as "
      + "those of instruction tuning. Density 1 is task arithmetic.",
    source:
      "Yu et al. 2024 (arXiv 2311.03099), authors' code: drop rate 0.1, which is density 0.9. "
      + "Deviations: rescaling is on, as in the paper, while the authors' script leaves it to a "
      + "flag; the draws are a function of seed, tensor name, model number and element, so the "
      + "result depends on the order of the models. mergekit's dare_linear scales to keep each "
      + "tensor's L1 norm instead.",
    needsBase: true, needsFisher: false, isPermutationInvariant: false,
    options: [
      OptionSchema(
        "coefficients", .numberPerModel(-1e6...1e6), default: .double(0.3),
        "Coefficient of each task vector.")
    ] + DropOptions.schema)

  private let coefficients: [Double]
  private let drops: DropOptions

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    coefficients = try options.numberPerModel("coefficients")
    drops = try DropOptions(options)
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard let base = tile.base else { return StoreOutcome() }
    if drops.keepsAll {
      return Kernels.taskVectorSum(
        into: tile.out, base: base, models: tile.models, coefficients: coefficients,
        count: tile.count)
    }
    let terms = coefficients.indices.map {
      TaskVectorTerm(factor: coefficients[$0] * drops.scale($0))
    }
    return Kernels.termSum(
      into: tile.out, base: base, models: tile.models, terms: terms,
      mask: drops.mask(key: tile.tensorKey, offset: tile.offset), count: tile.count)
  }
}

/// The options of dropping elements at random, shared by the methods that do.
struct DropOptions: Sendable {
  private let densities: [Double]
  private let seed: UInt64
  private let rescales: Bool

  static let schema = [
    OptionSchema(
      "density", .numberPerModel(1e-6...1), default: .double(0.9),
      "Probability with which an element is kept, to 32 bits."),
    OptionSchema(
      "rescale", .flag, default: .bool(true), "Divide what is kept by the density."),
    OptionSchema("seed", .integer(0...Int.max), default: .int(0), "Seed of the draws."),
  ]

  /// From options that hold those of `schema`.
  init(_ options: OptionValues) throws(DFMergeError) {
    densities = try options.numberPerModel("density")
    seed = UInt64(try options.integer("seed"))
    rescales = try options.flag("rescale")
  }

  var keepsAll: Bool { densities.allSatisfy { $0 >= 1 } }

  /// What the elements of a model that are kept are multiplied by.
  func scale(_ model: Int) -> Double { rescales ? 1 / densities[model] : 1 }

  func mask(key: UInt64, offset: Int) -> BernoulliMask? {
    keepsAll
      ? nil : BernoulliMask(seed: seed, tensorKey: key, offset: offset, densities: densities)
  }
}
