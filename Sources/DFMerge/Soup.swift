import DFMergeCore

/// A greedy soup: the models that are averaged, and how each came to be in or out.
///
/// Every model is scored alone, in the order given. The soup begins as the best one; each next
/// model by score, of equal ones the one given first, is added where the uniform average with it
/// scores strictly higher. The score is the search's aggregate; where tasks have floors, a candidate
/// that misses them by less is the better one. A trial that failed is not accepted, and a model that
/// failed alone is not tried.
/// Cost: M + (models with a score) - 1 evaluations of M models, as many merges.
/// Determinism: as every search; the members are averaged in the order in which they were given.
/// Source: Wortsman et al. 2022 (arXiv 2203.05482). Deviations from the authors' code: models of
/// equal score are tried in the order given, not in its reverse, and a soup is averaged from its
/// members at once instead of from the soup before it.
public struct Soup: Sendable {
  /// What came of one model.
  public struct Decision: Sendable {
    public let model: String
    /// The score of the model alone; nil where that failed.
    public let alone: Double?
    /// The trial that decided: the soup with the model, or the model alone for the best one and for
    /// one that failed.
    public let number: Int
    /// The score of that trial; nil where it failed.
    public let value: Double?
    public let isAccepted: Bool
  }

  /// Names of the soup's models, in the order in which they joined: the best one first.
  public let models: [String]
  /// In the order in which they were made, the best model first; a run that was stopped, or that
  /// ended by a limit, has fewer than models.
  public let decisions: [Decision]

  /// - Parameters:
  ///   - names: the models', in order.
  ///   - values: the scores of the trials, in order; nil for one that failed.
  package init(_ soup: GreedySoup, names: [String], values: [Double?]) {
    models = soup.members.map { names[$0] }
    decisions = soup.steps.map { step in
      Decision(
        model: names[step.model], alone: values[step.model], number: step.trial,
        value: values[step.trial], isAccepted: step.isAccepted)
    }
  }

  init(_ soup: GreedySoup, _ search: Search) {
    self.init(soup, names: search.models, values: search.trials.map(\.value))
  }

  /// As it stands in a result.
  package var json: JSONValue {
    .object([
      "models": .names(models),
      "decisions": .array(
        decisions.map { decision in
          .object([
            "model": .string(decision.model), "alone": .number(decision.alone),
            "number": .int(Int64(decision.number)), "value": .number(decision.value),
            "accepted": .bool(decision.isAccepted),
          ])
        }),
    ])
  }
}
