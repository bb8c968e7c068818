import DFMergeBO
import DFMergeCore

/// What a search found.
public struct SearchResult: Sendable {
  /// The chosen trial.
  public let best: TrialRecord
  /// Whether `best` was chosen by "posterior_mean" or by the "observed" score.
  public let chosenBy: String
  /// The 95 % interval of the noise-free score at `best` under the model of the scores; nil when
  /// there is none (fewer than two complete trials).
  public let interval: ClosedRange<Double>?
  /// All trials, in order.
  public let trials: [TrialRecord]
  public let warnings: [String]
  /// Seconds of this run, and of that the seconds inside the host's callbacks.
  public let totalSeconds: Double
  public let callbackSeconds: Double
  /// Everything as JSON; the bindings and the report read this.
  public let json: JSONValue

  init(_ search: Search, best: Search.Best) {
    self.best = best.record
    chosenBy = best.by
    interval = best.interval
    trials = search.trials
    warnings = search.warnings
    totalSeconds = search.clock.total
    callbackSeconds = search.clock.callbacks
    json = SearchResult.json(search, best: best)
  }

  /// The deterministic last event of a journal.
  var bestEvent: JSONValue {
    .object([
      "type": .string("best"), "number": .int(Int64(best.number)), "by": .string(chosenBy),
      "coefficients": .array(best.candidate.coefficients.map(JSONValue.double)),
      "exponent": .double(best.candidate.exponent),
      "value": best.value.map(JSONValue.double) ?? .null,
    ])
  }

  /// The run's times, which no resumed run reproduces.
  var totalsEvent: JSONValue {
    .object(["type": .string("timing"), "run": json["time"] ?? .null])
  }

  private static func json(_ search: Search, best: Search.Best) -> JSONValue {
    let names = search.models + (search.space.exponent == nil ? ["exponent"] : [])
    let chosen = best.record.json(models: search.models, tasks: search.options.tasks)
    return .object([
      "format": .int(1), "library": .string(DFMergeVersion.string),
      "options": search.options.json,
      "models": .array(search.models.map(JSONValue.string)),
      "tasks": .array(search.options.tasks.map(JSONValue.string)),
      "trials": .array(
        search.trials.map { $0.json(models: search.models, tasks: search.options.tasks) }),
      "best": .object([
        "number": .int(Int64(best.record.number)), "by": .string(best.by),
        "coefficients": chosen["coefficients"] ?? .null,
        "exponent": chosen["exponent"] ?? .null, "value": chosen["value"] ?? .null,
        "scores": chosen["scores"] ?? .null,
        "interval": best.interval.map {
          .array([.double($0.lowerBound), .double($0.upperBound)])
        } ?? .null,
      ]),
      "slices": .array(search.slices(names: names, best: best)),
      "length_scales": search.lengthScales(names: names),
      "time": .object([
        "total": .double(search.clock.total), "callbacks": .double(search.clock.callbacks),
        "outside_share": .double(search.clock.outsideShare),
      ]),
      "warnings": .array(search.warnings.map(JSONValue.string)),
    ])
  }
}
