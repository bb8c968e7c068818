import DFMergeCore
import DFMergeKernels

/// What becomes of the elements that a random mask keeps, shared by the methods that drop some.
struct RescaleOption: Sendable {
  static let schema = OptionSchema(
    "rescale", .flagOrChoice(["l1"]), default: .bool(true),
    "Divide what is kept by the probability with which it is, so that the expected sum stays the "
      + "same; 'l1' keeps each tensor's sum of magnitudes instead, which reads the inputs once more."
  )

  /// Whether kept elements are divided by their probability.
  let isByProbability: Bool
  private let request: SumsRequest?

  /// - Parameter ofWholeUnits: whether the mask is one of the method's units.
  init(
    _ options: OptionValues, models: Int, ofWholeUnits: Bool = false
  ) throws(DFMergeError) {
    if options.word("rescale") == "l1" {
      isByProbability = false
      request = SumsRequest(
        "l1", count: 2 * models, scope: .tensor, ofWholeUnits: ofWholeUnits)
    } else {
      isByProbability = try options.flag("rescale")
      request = nil
    }
  }

  var statistics: [ModelStatistic] { request.map { [.sums($0)] } ?? [] }

  func isAsked(by request: SumsRequest) -> Bool { request == self.request }

  /// What a tile adds to the sums of magnitudes: those of all elements, then those of the kept ones.
  func sums(_ tile: InputTile, mask: (any ElementMask)?) -> [Double] {
    guard let base = tile.base else { return [] }
    return Kernels.sumsOfMagnitudes(base: base, models: tile.models, count: tile.count)
      + Kernels.sumsOfMagnitudes(base: base, models: tile.models, mask: mask, count: tile.count)
  }

  /// What kept elements of each model are multiplied by to keep the sum of magnitudes; 1 for other
  /// ways to rescale, and as in mergekit where one of the sums is below 1e-7.
  func factors(_ statistics: [ModelStatistic: [Double]], models: Int) -> [Double] {
    guard let request, let sums = statistics[.sums(request)], sums.count == 2 * models else {
      return [Double](repeating: 1, count: models)
    }
    return (0..<models).map {
      let (all, kept) = (sums[$0], sums[models + $0])
      return all < 1e-7 || kept < 1e-7 ? 1 : all / kept
    }
  }
}
