import DFMergeBO
import DFMergeCore

extension Study {
  /// The trials and what is out, as JSON; no model is fitted.
  public var trialsJSON: JSONValue {
    .object([
      "trials": .array(trials.filter(\.isTold).map(json)),
      "running": .array(running.map(json)),
      "withdrawn": .array(trials.filter { $0.state == .withdrawn }.map(json)),
      "cost": .double(cost),
      "warnings": .array(warnings.map(JSONValue.string)),
    ])
  }

  /// The chosen trial as JSON; null while no trial has a score.
  /// - Throws: `.notPositiveDefinite` as ``Optimizer/ask()``.
  public func bestJSON() throws(DFMergeError) -> JSONValue {
    guard hasScore else { return .null }
    let best = try best()
    var members = json(best.trial).objectValue ?? [:]
    members["by"] = .string(best.criterion == .posteriorMean ? "posterior_mean" : "observed")
    members["feasible"] = .bool(best.violation == 0)
    members["mean"] = best.mean.isFinite ? .double(best.mean) : .null
    members["sd"] = best.sd.isFinite ? .double(best.sd) : .null
    members["interval"] =
      best.interval.map { .array([.double($0.lowerBound), .double($0.upperBound)]) } ?? .null
    return .object(members)
  }

  /// Everything that is known, as JSON, in the shape of a search's result: options, parameters,
  /// tasks, trials, best, Pareto front, slices, length-scales and importance of the parameters in the
  /// model, improvement left, reason to stop, times, warnings.
  /// - Throws: `.notPositiveDefinite` as ``Optimizer/ask()``.
  public func resultJSON() throws(DFMergeError) -> JSONValue {
    var members = trialsJSON.objectValue ?? [:]
    let reason = try stopReason()
    members["format"] = .int(1)
    members["kind"] = .string("optimizer")
    members["library"] = .string(DFMergeVersion.string)
    members["options"] = options.json
    members["parameters"] = .array(
      zip(options.names, options.bounds).map { name, range in
        .object([
          "name": .string(name), "low": .double(range.lowerBound),
          "high": .double(range.upperBound),
        ])
      })
    members["tasks"] = .array(options.objective.tasks.map(JSONValue.string))
    members["best"] = try bestJSON()
    members["slices"] = .array(slicesJSON())
    members["length_scales"] = perName(try? optimizer.lengthScales())
    members["importance"] = perName(try? importance())
    members["pareto"] = .array(paretoFront.map { .int(Int64($0.number)) })
    let improvement = hasScore ? try improvementLeft() : .nan
    members["improvement_left"] = improvement.isFinite ? .double(improvement) : .null
    members["ended"] = reason.map { .string($0.rawValue) } ?? .null
    members["observations"] = .int(
      Int64(trials.count { $0.origin == .observation }))
    members["time"] = .object(["total": .double(SearchClock.now() - started)])
    return .object(members)
  }

  private func json(_ trial: StudyTrial) -> JSONValue {
    trial.json(names: options.names, tasks: options.objective.tasks)
  }

  private func perName(_ values: [Double]?) -> JSONValue {
    guard let values, values.allSatisfy(\.isFinite) else { return .object([:]) }
    return .object(
      Dictionary(zip(options.names, values.map(JSONValue.double))) { first, _ in first })
  }

  /// Posterior mean and deviation along each parameter through the best point; empty without a
  /// score, and where the model leaves the range of a double.
  private func slicesJSON() -> [JSONValue] {
    guard let best = try? best(),
      let slices = try? optimizer.slices(at: best.trial.point, count: 33),
      slices.allSatisfy({ $0.mean.allSatisfy(\.isFinite) && $0.sd.allSatisfy(\.isFinite) })
    else { return [] }
    return slices.map { slice in
      let range = options.bounds[slice.dimension]
      let width = range.upperBound - range.lowerBound
      return .object([
        "name": .string(options.names[slice.dimension]),
        "at": .array(slice.at.map { .double(range.lowerBound + $0 * width) }),
        "mean": .array(slice.mean.map(JSONValue.double)),
        "sd": .array(slice.sd.map(JSONValue.double)),
      ])
    }
  }
}
