import DFMergeCore
import DFMergeKernels

/// The options of dropping elements at random, shared by the methods that do.
struct DropOptions: Sendable {
  private let densities: [Double]
  private let seed: UInt64
  let rescale: RescaleOption

  static let schema = [
    OptionSchema(
      "density", .numberPerModel(0...1), default: .double(0.9),
      "Probability with which an element is kept, to 32 bits; 0 keeps nothing of a model."),
    RescaleOption.schema,
    OptionSchema("seed", .integer(0...Int.max), default: .int(0), "Seed of the draws."),
  ]

  /// From options that hold those of `schema`.
  init(_ options: OptionValues) throws(DFMergeError) {
    densities = try options.numberPerModel("density")
    seed = UInt64(try options.integer("seed"))
    rescale = try RescaleOption(options, models: densities.count)
  }

  var keepsAll: Bool { densities.allSatisfy { $0 >= 1 } }

  /// What is to be known before elements can be rescaled.
  var statistics: [ModelStatistic] { keepsAll ? [] : rescale.statistics }

  /// What the elements of each model that are kept are multiplied by.
  func scales(_ statistics: [ModelStatistic: [Double]]) -> [Double] {
    // Of what the mask rounds to no element at all there is nothing to scale.
    rescale.isByProbability
      ? densities.map { $0 < 0x1p-33 ? 0 : 1 / $0 }
      : rescale.factors(statistics, models: densities.count)
  }

  func mask(_ tile: InputTile) -> BernoulliMask? {
    keepsAll
      ? nil
      : BernoulliMask(
        seed: seed, tensorKey: tile.tensorKey, offset: tile.offset, densities: densities)
  }
}
