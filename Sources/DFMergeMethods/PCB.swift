import DFMergeCore
import DFMergeKernels

/// Parameter competition balancing.
package struct PCB: MergeMethod {
  package static let info = MethodInfo(
    id: "pcb",
    title: "PCB-Merging",
    formula:
      "c = |tau_m| clipped to its quantiles clip and 1 - clip;  nu_m = (c - min) / (max - min);  beta_m = "
      + "exp(M nu_m^2) tanh(tau_m sum(tau));  s_m = beta_m clamped from below at its quantile 1 - ratio, "
      + "then from 0 to 1 as nu_m is;  theta = theta0 + sum(c_m s_m sign(tau_m) c) / max(sum(s_m), 1e-12)",
    summary:
      "Parameters compete within their model by size and with the other models by agreement: the share "
      + "ratio of each model with the best balance takes part, weighted by it, and is scaled by the "
      + "coefficients. Quantiles are order statistics of the whole model, found exactly; balances are "
      + "formed in double and ranked in F32 (F64 where an operand is). A model whose balances are all "
      + "alike, as the base itself, takes no part. Reads the inputs five times.",
    source:
      "Du et al. 2024 (arXiv 2410.02396), authors' code, of which there are four: 'root' "
      + "(pcb-merging.py), 'nlp' (the same with clip 0.01), 'vision' (clip 0.01, beta_m = exp(M nu_m^2) "
      + "tanh(tau_m sum(sign(tau) nu))) and 'vision_es' (clip 0.01, beta_m = exp(M nu_m^2) "
      + "sum(tanh(sign(tau_m) nu_m sign(tau) nu))). ratio 0.05 and coefficient 1.2 are those of their "
      + "scripts. Deviation: 0/0 of models without a range is 0, where their code gives NaN. The paper "
      + "writes softmax for both balances; the code has exp and tanh.",
    // The balance is a tangent of squared changes.
    needsBase: true, needsFisher: false, scalesWithInputs: false,
    options: [
      OptionSchema(
        "ratio", .number(1e-6...1), default: .double(0.05),
        "Share of each model's parameters that takes part."),
      OptionSchema(
        "coefficients", .numberPerModel(-1e6...1e6), default: .double(1.2),
        "Coefficient of each task vector."),
      OptionSchema(
        "variant", .choice(["root", "nlp", "vision", "vision_es"]), default: .string("root"),
        "Which of the authors' four programs is followed."),
      OptionSchema(
        "clip", .numberOrChoice(0...0.49, ["variant"]), default: .string("variant"),
        "Share of the magnitudes that is clipped at either end; 'variant' is 0.0001 for 'root' and 0.01 "
          + "for the others."),
      OptionSchema(
        "scope", .choice(["model", "tensor"]), default: .string("model"),
        "Whether quantiles and ranges are those of the whole model or of each tensor."),
    ])

  private let ratio: Double
  private let clip: Double
  private let kind: CompetitionBalance.Kind
  private let coefficients: [Double]
  /// The limits of the magnitudes: the lower one of each model, then the upper ones.
  private let limits: RankRequest
  /// The smallest balance of each model that counts, then the largest.
  private let balances: RankRequest

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    ratio = try options.number("ratio")
    coefficients = try options.numberPerModel("coefficients")
    let variant = options.word("variant")
    clip =
      options.word("clip") == nil
      ? try options.number("clip") : variant == "root" ? 0.0001 : 0.01
    kind =
      switch variant {
      case "vision": .shares
      case "vision_es": .pairs
      default: .deltas
      }
    let scope: StatisticScope = options.word("scope") == "tensor" ? .tensor : .model
    limits = RankRequest("limits", count: 2 * modelCount, scope: scope, parameters: [clip])
    balances = RankRequest(
      "balances", count: 2 * modelCount, values: modelCount, scope: scope,
      parameters: [clip, ratio, Double(kind.rawValue)])
  }

  package var statistics: [ModelStatistic] { [.taskVectorRanks(limits), .ranks(balances)] }

  package func rank(
    _ request: RankRequest, index: Int, count: Int, statistics: [ModelStatistic: [Double]]
  ) -> Int {
    let isFirst = index < coefficients.count
    // Places in ascending order, as the authors index what they have sorted.
    let place: Double
    if request == limits {
      place = isFirst ? Double(count) * clip : Double(count) * (1 - clip) - 1
    } else {
      place = isFirst ? Double(count) * (1 - ratio) : Double(count) - 1
    }
    return count - min(max(Int(place), 0), max(count - 1, 0))
  }

  package func rankedValues(
    _ tile: InputTile, _ request: RankRequest, index: Int,
    into values: UnsafeMutablePointer<Double>
  ) {
    guard let base = tile.base, let limits = halves(of: .taskVectorRanks(limits), tile) else {
      return
    }
    CompetitionBalance(kind: kind, lower: limits.0, upper: limits.1).balances(
      of: index, into: values, base: base, models: tile.models, count: tile.count)
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard let base = tile.base,
      let limits = halves(of: .taskVectorRanks(limits), tile.inputs),
      let balances = halves(of: .ranks(balances), tile.inputs)
    else { return StoreOutcome() }
    let balance = CompetitionBalance(
      kind: kind, lower: limits.0, upper: limits.1, smallest: balances.0, largest: balances.1,
      coefficients: coefficients)
    return balance.merge(into: tile.out, base: base, models: tile.models, count: tile.count)
  }

  /// The first and the second number of each model.
  private func halves(
    of statistic: ModelStatistic, _ tile: InputTile
  ) -> ([Double], [Double])? {
    guard let found = tile.statistics[statistic], found.count == 2 * coefficients.count else {
      return nil
    }
    return (Array(found.prefix(coefficients.count)), Array(found.suffix(coefficients.count)))
  }
}
