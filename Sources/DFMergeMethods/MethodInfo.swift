import DFMergeCore

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
  /// Whether the base's elements are read where a base is given; always true with `needsBase`.
  public let usesBase: Bool
  public let needsFisher: Bool
  /// How many models it takes.
  public let modelCounts: ClosedRange<Int>
  /// Whether another order of the models gives the same result up to the last bit.
  public let isPermutationInvariant: Bool
  /// Whether some options make it write tensors that no input has.
  public let addsTensors: Bool
  public let options: [OptionSchema]

  package init(
    id: String, title: String, formula: String, summary: String, source: String,
    needsBase: Bool, usesBase: Bool = false, needsFisher: Bool,
    modelCounts: ClosedRange<Int> = 1...Int.max, isPermutationInvariant: Bool = true,
    addsTensors: Bool = false,
    options: [OptionSchema]
  ) {
    self.id = id
    self.title = title
    self.formula = formula
    self.summary = summary
    self.source = source
    self.needsBase = needsBase
    self.usesBase = needsBase || usesBase
    self.needsFisher = needsFisher
    self.modelCounts = modelCounts
    self.isPermutationInvariant = isPermutationInvariant
    self.addsTensors = addsTensors
    self.options = options
  }

  /// Everything above as a JSON object.
  public var json: JSONValue {
    let most = modelCounts.upperBound
    return .object([
      "id": .string(id), "title": .string(title), "formula": .string(formula),
      "summary": .string(summary), "source": .string(source), "needs_base": .bool(needsBase),
      "uses_base": .bool(usesBase), "needs_fisher": .bool(needsFisher),
      "adds_tensors": .bool(addsTensors),
      "least_models": .int(Int64(modelCounts.lowerBound)),
      "most_models": most == Int.max ? .null : .int(Int64(most)),
      "options": .array(options.map(\.json)),
    ])
  }
}
