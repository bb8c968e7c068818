import DFMergeCore
import DFMergeKernels
import Glibc

/// Interpolation of two models along the arc between them.
package struct SLERP: MergeMethod {
  package static let info = MethodInfo(
    id: "slerp",
    title: "SLERP",
    formula:
      "theta = sin((1 - t) phi) / sin(phi) theta_1 + sin(t phi) / sin(phi) theta_2;  "
      + "cos(phi) = <theta_1, theta_2> / (|theta_1| |theta_2|);  |cos(phi)| > threshold: "
      + "theta = (1 - t) theta_1 + t theta_2",
    summary:
      "Goes from the first model (t = 0) to the second (t = 1) without the loss of length that a "
      + "mean of two directions has. Angles are those of whole tensors, weights taken as they are: "
      + "fine-tunes of one base point the same way within the threshold, and are then interpolated "
      + "linearly; method 'nuslerp' with a base looks at the changes. scope 'model' takes one angle "
      + "for the whole model. t may differ by tensor: {\"gradient\": [0, 1]}.",
    source:
      "No paper of merging; Shoemake 1985, as in mergekit's slerp and fusion_bench's: threshold 0.9995, lengths of 1e-8 "
      + "or less count as 1. t 0.5 is fusion_bench's, mergekit asks for it. Deviation: sums in "
      + "double; mergekit's are in F32. scope 'model' is ours.",
    needsBase: false, needsFisher: false, modelCounts: 2...2, isPermutationInvariant: false,
    options: [
      OptionSchema("t", .number(-1e6...1e6), default: .double(0.5), "Place between the models."),
      OptionSchema(
        "threshold", .number(0...1), default: .double(0.9995),
        "Where the cosine is beyond this, in size, the models are interpolated linearly."),
      OptionSchema(
        "scope", .choice(["tensor", "model"]), default: .string("tensor"),
        "Whether each tensor has an angle of its own, or all share that of the whole model."),
    ])

  private let t: Double
  private let threshold: Double
  private let request: SumsRequest

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    t = try options.number("t")
    threshold = try options.number("threshold")
    request = GramMatrix.request(
      models: modelCount, scope: options.word("scope") == "model" ? .model : .tensor)
  }

  package var statistics: [ModelStatistic] { [.sums(request)] }

  package func sums(_ tile: InputTile, _ request: SumsRequest) -> [Double] {
    GramMatrix.sums(tile, from: nil)
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    let gram = GramMatrix(count: 2, tile.statistics[.sums(request)] ?? [])
    let lengths = (0..<2).map { gram.norm($0) > 1e-8 ? gram.norm($0) : 1 }
    let cosine = gram[0, 1] / lengths[0] / lengths[1]
    let arc = abs(cosine) > threshold ? nil : SLERP.arc(acos(cosine), t)
    return tile.combine(arc ?? [1 - t, t], from: nil)
  }

  /// The coefficients of two vectors with an angle `phi` between them; nil where they lie in one
  /// line, so that there is no arc.
  static func arc(_ phi: Double, _ t: Double, smallestSine: Double = 0) -> [Double]? {
    let sine = sin(phi)
    guard abs(sine) > smallestSine else { return nil }
    return [sin((1 - t) * phi) / sine, sin(t * phi) / sine]
  }
}
