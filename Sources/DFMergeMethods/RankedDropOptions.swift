import DFMergeCore
import DFMergeKernels

/// The options of dropping elements at random, small ones more often, shared by the methods that do.
struct RankedDropOptions: Sendable {
  private let densities: [Double]
  private let epsilons: [Double]
  private let seed: UInt64
  private let isByTensor: Bool
  let rescale: RescaleOption

  static let schema = [
    OptionSchema(
      "density", .numberPerModel(0...1), default: .double(0.7),
      "Mean probability with which an element is kept; 1 keeps everything."),
    OptionSchema(
      "epsilon", .numberPerModel(0...0.5), default: .double(0.07),
      "Half the range of the probability: from density - epsilon for the smallest element of a row to "
        + "density + epsilon for the largest, both from 0 to 1."),
    RescaleOption.schema,
    OptionSchema("seed", .integer(0...Int.max), default: .int(0), "Seed of the draws."),
    OptionSchema(
      "scope", .choice(["row", "tensor"]), default: .string("row"),
      "Among which elements magnitudes are ranked: those of a row along the last axis, or of the "
        + "tensor, which is then held in memory."),
  ]

  /// From options that hold those of `schema`.
  /// - Throws: `.invalidOption` where a probability would be below 0 or above 1.
  init(_ options: OptionValues, owner: String) throws(DFMergeError) {
    densities = try options.numberPerModel("density")
    epsilons = try options.numberPerModel("epsilon")
    seed = UInt64(try options.integer("seed"))
    isByTensor = options.word("scope") == "tensor"
    rescale = try RescaleOption(options, models: densities.count, ofWholeUnits: true)
    for (model, (density, epsilon)) in zip(densities, epsilons).enumerated() where density < 1 {
      guard density - epsilon >= 0, density + epsilon <= 1 else {
        throw DFMergeError(
          .invalidOption,
          "Option 'epsilon' of method '\(owner)' is \(epsilon) for model number \(model), whose "
            + "density is \(density): elements would be kept with probabilities from "
            + "\(density - epsilon) to \(density + epsilon). Make epsilon "
            + "\(min(density, 1 - density)) or less, or the density 1, which keeps everything.",
          context: ["option": "epsilon", "model": String(model)])
      }
    }
  }

  var keepsAll: Bool { densities.allSatisfy { $0 >= 1 } }

  /// What is to be known before elements can be rescaled.
  var statistics: [ModelStatistic] { keepsAll ? [] : rescale.statistics }

  var unit: TileUnit { keepsAll ? .elements : isByTensor ? .tensor : .rows }

  func memory(shape: Shape) -> TileMemory {
    TileMemory(
      workspace: keepsAll
        ? 0 : RowMask.byteCount(models: densities.count, rowLength: rowLength(shape)))
  }

  /// What the elements of each model that are kept are multiplied by, beside the mask's own factors.
  func scales(_ statistics: [ModelStatistic: [Double]]) -> [Double] {
    rescale.factors(statistics, models: densities.count)
  }

  /// - Throws: `.unsupported` for rows of 2^32 elements or more.
  func mask(_ tile: InputTile) throws(DFMergeError) -> RowMask? {
    if keepsAll { return nil }
    let length = rowLength(tile.shape)
    guard length <= Int(UInt32.max) else {
      throw DFMergeError(
        .unsupported,
        "Tensor '\(tile.name)' has \(length) elements to be ranked together, which is more than "
          + "\(UInt32.max); use scope 'row', or density 1 for this tensor.",
        context: ["tensor": tile.name])
    }
    let rules = zip(densities, epsilons).map { density, epsilon -> RowMask.Rule in
      density >= 1
        ? .all
        : .drawn(
          lowest: density - epsilon, highest: density + epsilon, rescales: rescale.isByProbability)
    }
    return RowMask(
      rules: rules, rowLength: length, memory: tile.workspace, seed: seed,
      tensorKey: tile.tensorKey, offset: tile.offset)
  }

  private func rowLength(_ shape: Shape) -> Int {
    max(isByTensor ? shape.elementCount : shape.rowLength, 1)
  }
}
