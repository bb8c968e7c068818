import DFMergeBO
import DFMergeCore

/// What the model of the scores has learnt, as a result states it.
extension Search {
  /// What the user should know of trials that failed: a search whose Fisher values are never usable
  /// ends like any other, with a candidate that needs none.
  var failureWarnings: [String] {
    let failed = trials.filter { $0.state == .failed }
    guard let first = failed.first, let reason = first.failure else { return [] }
    return [
      "\(failed.count) of \(trials.count) trials failed; the first of them, trial "
        + "\(first.number): \(reason)"
    ]
  }

  /// Posterior mean and deviation of the score along each dimension through the best point; empty
  /// with fewer complete trials than a model of the scores needs, and where the scores are so large
  /// that the model leaves the range of a double.
  func slices(best: Best) -> [JSONValue] {
    guard !space.isSoup, let slices = try? optimizer.slices(at: best.record.point, count: 33),
      slices.allSatisfy({ $0.mean.allSatisfy(\.isFinite) && $0.sd.allSatisfy(\.isFinite) })
    else { return [] }
    return zip(space.coordinates, slices).enumerated().map { index, pair in
      let (coordinate, slice) = pair
      let range = index < space.bounds.count ? space.bounds[index] : 0...1
      return .object([
        "name": .string(coordinate.name),
        "model": coordinate.parameter.map(JSONValue.string) ?? .null,
        "group": coordinate.group.map(JSONValue.string) ?? .null,
        "at": .array(
          slice.at.map {
            .double(range.lowerBound + $0 * (range.upperBound - range.lowerBound))
          }),
        "mean": .array(slice.mean.map(JSONValue.double)),
        "sd": .array(slice.sd.map(JSONValue.double)),
      ])
    }
  }

  /// The interval of each parameter.
  var intervals: JSONValue {
    let bounds = space.parameters.indices.map { space.bounds[$0 * groups.count] }
    return .object(
      Dictionary(zip(space.parameters, bounds.map { JSONValue.ends($0) })) { first, _ in first })
  }

  /// How far one must move along each dimension for the score to change, as a share of its
  /// interval.
  func lengthScales() -> JSONValue { named(space.isSoup ? nil : try? optimizer.lengthScales()) }

  /// Each dimension's share of what the model expects to change.
  func importance() -> JSONValue { named(space.isSoup ? nil : try? optimizer.importance()) }

  private func named(_ values: [Double]?) -> JSONValue {
    guard let values, values.allSatisfy(\.isFinite) else { return .object([:]) }
    return .object(
      Dictionary(zip(space.coordinates.map(\.name), values.map(JSONValue.double))) { first, _ in
        first
      })
  }

  /// The trials that no other beats on all tasks; nil for a single task.
  func front() -> JSONValue {
    guard options.tasks.count > 1 else { return .null }
    let first = beginning.observations.count
    return .array(
      optimizer.paretoFront(includingObservations: false).map { .int(Int64($0 - first)) })
  }

  /// What the final model says of the score at each trial's point, by trial; nil where there is
  /// no model (a greedy soup has none), for trials that collapsed, and beyond 2000 trials, whose predictions would take
  /// longer than the search.
  func predictions() -> [(mean: Double, sd: Double)?] {
    guard !space.isSoup, trials.count <= 2000 else { return trials.map { _ in nil } }
    let collapse = collapsed
    return trials.map { trial in
      guard trial.value.map({ $0 >= collapse }) ?? true,
        let found = try? optimizer.predict(trial.point), found.mean.isFinite,
        found.sd.isFinite
      else { return nil }
      return found
    }
  }

  /// Below this score a trial counts as collapsed: further below the median than the best is above
  /// it. The model of the scores does not follow how far such trials fell.
  var collapsed: Double {
    let values = trials.compactMap(\.value).sorted()
    guard let best = values.last else { return -.infinity }
    let median = 0.5 * values[(values.count - 1) / 2] + 0.5 * values[values.count / 2]
    return median - (best - median)
  }
}
