import DFMergeBO
import DFMergeCore

/// What a search found.
public struct SearchResult: Sendable {
  /// The chosen trial.
  public let best: TrialRecord
  /// Whether `best` was chosen by "posterior_mean" or by the "observed" score.
  public let chosenBy: String
  /// The 95 % interval of the noise-free score at `best` under the model of the scores; nil when
  /// there is none (fewer than two complete trials, a greedy soup).
  public let interval: ClosedRange<Double>?
  /// Whether `best` keeps all floors, by the scores it was chosen by: the posterior means, or those
  /// observed. False only where no complete trial does.
  public let isFeasible: Bool
  /// Why the run ended; nil for one that was stopped.
  public let ending: Search.Ending?
  /// All trials, in order.
  public let trials: [TrialRecord]
  public let warnings: [String]
  /// Names of the models, of the tensors' groups (one where all share their coefficients) and of
  /// the tasks, in order.
  public let models: [String]
  /// Names of what was searched: the models, or another method's options.
  public let parameters: [String]
  public let groups: [String]
  public let tasks: [String]
  /// The soup and how it came about; nil for Bayesian optimisation.
  public let soup: Soup?
  /// How far `best` is above plain averaging; nil where no trial was the average.
  public let overAverage: Margin?
  /// How far `best` is above the best of the merges that need no search, among those that were
  /// tried; nil where none was. In a greedy soup, above the best model alone.
  public let overBaseline: Margin?
  /// Seconds of this run, and of that the seconds inside the host's callbacks.
  public let totalSeconds: Double
  public let callbackSeconds: Double
  /// Everything as JSON; the bindings and the report read this.
  public let json: JSONValue

  init(_ search: Search, best: Search.Best) {
    self.best = best.record
    chosenBy = best.by
    interval = best.interval
    isFeasible = best.isFeasible
    ending = search.ending
    trials = search.trials
    warnings = search.warnings + search.failureWarnings
    models = search.models
    parameters = search.parameters
    groups = search.groups.names
    tasks = search.options.tasks
    soup = search.soup.map { Soup($0, search) }
    (overAverage, overBaseline) = search.margins(best)
    totalSeconds = search.clock.total
    callbackSeconds = search.clock.callbacks
    json = SearchResult.json(search, best: best, (overAverage, overBaseline))
  }

  /// The coefficient of a model in a trial; nil for a name that the search does not have.
  /// - Parameters:
  ///   - model: its name.
  ///   - group: the group of tensors, which only a search with groups needs.
  ///   - trial: without it, ``best``.
  public func coefficient(
    of model: String, in group: String? = nil, at trial: TrialRecord? = nil
  ) -> Double? {
    guard group != nil || groups.count == 1, let row = parameters.firstIndex(of: model),
      let column = group.map({ groups.firstIndex(of: $0) }) ?? 0
    else { return nil }
    let all = (trial ?? best).candidate.coefficients
    let place = row * groups.count + column
    return all.indices.contains(place) ? all[place] : nil
  }

  /// The score of a task in a trial; nil for a name that the search does not have, and for a trial
  /// without scores.
  /// - Parameters:
  ///   - task: its name.
  ///   - trial: without it, ``best``.
  public func score(of task: String, at trial: TrialRecord? = nil) -> Double? {
    let scores = (trial ?? best).scores
    guard let place = tasks.firstIndex(of: task), scores.indices.contains(place) else { return nil }
    return scores[place]
  }

  /// The deterministic last event of a journal.
  var bestEvent: JSONValue {
    .object([
      "type": .string("best"), "number": .int(Int64(best.number)), "by": .string(chosenBy),
      "coefficients": .array(best.candidate.coefficients.map(JSONValue.double)),
      "exponent": .double(best.candidate.exponent),
      "value": best.value.map(JSONValue.double) ?? .null, "feasible": .bool(isFeasible),
      "ended": ending.map { .string($0.rawValue) } ?? .null,
    ])
  }

  /// The run's times, which no resumed run reproduces.
  var totalsEvent: JSONValue {
    .object(["type": .string("timing"), "run": json["time"] ?? .null])
  }

  private static func json(
    _ search: Search, best: Search.Best, _ margins: (average: Margin?, baseline: Margin?)
  ) -> JSONValue {
    let options = search.options
    let trials = zip(search.trials, search.predictions()).map { search.json(of: $0, $1) }
    var members: [String: JSONValue] = [
      "format": .int(2), "library": .string(DFMergeVersion.string), "options": options.json,
      "models": .names(search.models), "parameters": .names(search.parameters),
      "intervals": search.intervals, "method": .string(options.method),
      "tasks": .names(options.tasks),
      "groups": search.groups.count == 1 ? .null : search.groups.json,
      "trials": .array(trials), "cost": .double(search.cost),
      "observations": .int(Int64(search.beginning.observations.count)),
      "ended": search.ending.map { .string($0.rawValue) } ?? .null,
      "warnings": .names(search.warnings + search.failureWarnings),
    ]
    let chosen = search.json(of: best.record, nil)
    members["best"] = .object([
      "number": .int(Int64(best.record.number)), "by": .string(best.by),
      "coefficients": chosen["coefficients"] ?? .null, "exponent": chosen["exponent"] ?? .null,
      "value": chosen["value"] ?? .null, "scores": chosen["scores"] ?? .null,
      "feasible": .bool(best.isFeasible), "interval": .ends(best.interval),
      "options": search.mergeOptions(of: best.record.candidate) ?? .null,
    ])
    members["margin"] = .object([
      "average": margins.average?.json ?? .null, "baseline": margins.baseline?.json ?? .null,
    ])
    members["pareto"] = search.front()
    members["slices"] = .array(search.slices(best: best))
    members["length_scales"] = search.lengthScales()
    members["importance"] = search.importance()
    members["soup"] = search.soup.map { Soup($0, search).json } ?? .null
    members["time"] = .object([
      "total": .double(search.clock.total), "callbacks": .double(search.clock.callbacks),
      "outside_share": .double(search.clock.outsideShare),
    ])
    return .object(members)
  }
}

extension JSONValue {
  static func number(_ value: Double?) -> JSONValue { value.map(JSONValue.double) ?? .null }

  static func names(_ values: [String]) -> JSONValue { .array(values.map(JSONValue.string)) }

  /// The pair of a range's ends.
  static func ends(_ range: ClosedRange<Double>?) -> JSONValue {
    guard let range else { return .null }
    return .array([.double(range.lowerBound), .double(range.upperBound)])
  }
}

extension Search {
  /// A trial as it stands in a result.
  /// - Parameter posterior: what the final model says of its score.
  func json(of trial: TrialRecord, _ posterior: (mean: Double, sd: Double)?) -> JSONValue {
    func byTask(_ values: [Double]) -> JSONValue {
      .object(
        Dictionary(
          zip(options.tasks, values.map { $0.isFinite ? .double($0) : .null })
        ) { first, _ in first })
    }
    return .object([
      "number": .int(Int64(trial.number)), "origin": .string(trial.origin),
      "coefficients": groups.named(trial.candidate.coefficients, parameters: parameters),
      "exponent": .double(trial.candidate.exponent),
      "value": .number(trial.value), "variance": .number(trial.variance),
      "scores": trial.isComplete ? byTask(trial.scores) : .null,
      "variances": trial.isComplete ? byTask(trial.variances) : .null,
      "subset": trial.subset.map { byTask($0.values) } ?? .null,
      "mean": .number(posterior?.mean), "sd": .number(posterior?.sd),
      "state": .string(trial.state.rawValue),
      "reason": trial.failure.map(JSONValue.string) ?? .null, "seconds": trial.secondsJSON,
    ])
  }

  /// What the search is, before it has run: models, tasks, groups, dimensions, options.
  public var descriptionJSON: JSONValue {
    .object([
      "models": .names(models), "parameters": .names(parameters),
      "tasks": .names(options.tasks), "groups": groups.json,
      "coefficients": .int(Int64(space.bounds.count)),
      "dimension": .int(Int64(space.dimension)), "options": options.json,
      "observations": .int(Int64(beginning.observations.count)),
      "warnings": .names(warnings),
    ])
  }
}
