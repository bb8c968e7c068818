import DFMergeCore
import DFMergeKernels

/// The options of a sign election, shared by the methods that hold one.
struct ElectionOptions: Sendable {
  /// How many elements of all tensors have a positive vote less how many have a negative one: asked
  /// for where ``needsBalance(models:)`` says so.
  let statistic: ModelStatistic

  private let vote: SignElection.Vote
  private let aggregate: SignElection.Aggregate
  private let zeroSign: String?
  private let scale: Double

  static func schema(aggregate: String, zeroSign: String) -> [OptionSchema] {
    [
      OptionSchema(
        "aggregate", .choice(["mean", "sum", "max"]), default: .string(aggregate),
        "What becomes of the models that agree: their weighted mean, their weighted sum, or the "
          + "largest of them."),
      OptionSchema(
        "election", .choice(["mass", "count"]), default: .string("mass"),
        "Whether the sign of the sum is elected or the sign that more models have."),
      OptionSchema(
        "zero_sign", .choice(["majority", "positive", "negative", "none"]),
        default: .string(zeroSign),
        "The sign where the vote is a tie: that of most parameters of the merge, which reads the "
          + "inputs once more; a given one; or none, so that the parameter does not move."),
    ]
  }

  /// From options that hold those of `schema` and the number `lambda`.
  /// - Parameter ofWholeUnits: whether the method's tiles are whole units where votes are counted.
  init(_ options: OptionValues, ofWholeUnits: Bool = false) throws(DFMergeError) {
    statistic = .sums(
      SumsRequest("sign_balance", count: 1, scope: .model, ofWholeUnits: ofWholeUnits))
    vote = options.word("election") == "count" ? .count : .mass
    aggregate =
      switch options.word("aggregate") {
      case "sum": .sum
      case "max": .largest
      default: .mean
      }
    zeroSign = options.word("zero_sign")
    scale = try options.number("lambda")
  }

  /// Whether the majority sign is needed: one model has no ties but zeros.
  func needsBalance(models: Int) -> Bool { zeroSign == "majority" && models > 1 }

  /// What a tile adds to ``statistic``. Whole numbers, so that the order of addition is free.
  func balance(
    _ tile: InputTile, terms: [TaskVectorTerm], mask: (any ElementMask)? = nil
  ) -> [Double] {
    guard let base = tile.base else { return [0] }
    let found = Kernels.signBalance(
      base: base, models: tile.models, terms: terms, vote: vote, mask: mask, count: tile.count)
    return [Double(found)]
  }

  func election(_ statistics: [ModelStatistic: [Double]]) -> SignElection {
    let tie: SignElection.Tie
    switch zeroSign {
    case "positive": tie = .positive
    case "negative": tie = .negative
    case "majority":
      let balance = statistics[statistic]?.first ?? 0
      // As the authors' code has it: without a majority, what is not positive counts as negative,
      // but the largest element is multiplied by the sign, which is 0.
      tie = balance > 0 ? .positive : balance < 0 || aggregate != .largest ? .negative : .none
    default: tie = .none
    }
    return SignElection(vote: vote, aggregate: aggregate, tie: tie, scale: scale)
  }
}
