import DFMergeCore
import DFMergeKernels

/// The options of cutting both tails of a task vector's magnitudes, shared by the methods that do.
struct TailOptions: Sendable {
  private enum Scope: Sendable {
    case row
    case tensor
    case model
  }

  static let schema = [
    OptionSchema(
      "density", .numberPerModel(0...1), default: .double(0.2),
      "Share of each task vector's elements that is kept, the largest of those that are left."),
    OptionSchema(
      "gamma", .numberPerModel(0...1), default: .double(0.1),
      "Share of each task vector's elements that is removed first, the largest."),
    OptionSchema(
      "scope", .choice(["row", "tensor", "model"]), default: .string("row"),
      "What the shares are taken of: each row along the last axis, each tensor or the whole model."),
    OptionSchema(
      "variant", .choice(["authors", "mergekit"]), default: .string("authors"),
      "Elements of n: 'authors' removes floor(gamma n), then keeps floor(density n) of the rest, so "
        + "that short rows may vanish; scalars are kept. 'mergekit', as mergekit 0.1.4 has it, removes "
        + "fewer where density and gamma come to more than 1, none at density 1, and keeps nothing "
        + "where floor(gamma n) is 0, as of a tensor of less than 100 elements at gamma 0.01; mergekit "
        + "0.1.5 keeps the floor(density n) largest there."),
  ]

  private let densities: [Double]
  private let gammas: [Double]
  private let scope: Scope
  private let isMergekit: Bool
  /// The ranks of the smallest element kept of each model, then of the smallest one removed.
  private let request: RankRequest

  /// From options that hold those of `schema`.
  init(_ options: OptionValues) throws(DFMergeError) {
    densities = try options.numberPerModel("density")
    gammas = try options.numberPerModel("gamma")
    scope =
      switch options.word("scope") {
      case "tensor": .tensor
      case "model": .model
      default: .row
      }
    isMergekit = options.word("variant") == "mergekit"
    request = RankRequest(
      "tails", count: 2 * densities.count, scope: scope == .model ? .model : .tensor,
      parameters: densities + gammas + [isMergekit ? 1 : 0])
  }

  /// Whether tiles are whole rows.
  var isByRow: Bool { scope == .row }

  var statistics: [ModelStatistic] { isByRow ? [] : [.taskVectorRanks(request)] }

  var unit: TileUnit { isByRow ? .rows : .elements }

  func memory(shape: Shape) -> TileMemory {
    TileMemory(
      workspace: isByRow
        ? RowMask.byteCount(models: densities.count, rowLength: max(shape.rowLength, 1)) : 0)
  }

  /// The places that are kept of `count` elements in the order of their magnitudes, 0 the lowest.
  func places(_ model: Int, of count: Int) -> Range<Int> {
    func share(_ part: Double) -> Int { min(Int(Double(count) * part), count) }
    let kept = share(densities[model])
    var removed = share(gammas[model])
    guard isMergekit else {
      let end = count - removed
      return max(end - kept, 0)..<end
    }
    if densities[model] >= 1 { return 0..<count }
    removed = min(removed, count - kept)
    if removed == 0 { return 0..<0 }
    return (count - kept - removed)..<(count - removed)
  }

  func rank(index: Int, count: Int) -> Int {
    let model = index % densities.count
    let places = places(model, of: count)
    if places.isEmpty { return 0 }
    // From the lowest place on everything is kept: no need to know the smallest.
    if index < densities.count {
      return places.lowerBound == 0 ? count + 1 : count - places.lowerBound
    }
    return count - places.upperBound
  }

  /// The terms of each model, with thresholds where shares are not those of rows. Elements that equal
  /// the smallest kept are kept, those that equal the smallest removed are removed.
  func terms(
    _ tile: InputTile, factors: [Double], weights: [Double]
  ) -> [TaskVectorTerm] {
    let found = tile.statistics[.taskVectorRanks(request)]
    let isWhole = keepsScalar(tile)
    return factors.indices.map {
      TaskVectorTerm(
        threshold: isWhole ? 0 : found?[$0] ?? 0,
        ceiling: isWhole ? .infinity : found?[factors.count + $0] ?? .infinity,
        factor: factors[$0], weight: weights[$0])
    }
  }

  func mask(_ tile: InputTile) -> RowMask? {
    guard isByRow else { return nil }
    let isWhole = keepsScalar(tile)
    return RowMask(
      rules: densities.indices.map {
        isWhole ? .all : .places(places($0, of: tile.rowLength))
      }, rowLength: tile.rowLength, memory: tile.workspace)
  }

  private func keepsScalar(_ tile: InputTile) -> Bool {
    !isMergekit && scope != .model && tile.shape.dimensions.isEmpty
  }
}
