import DFMergeBO
import DFMergeCore

/// What the model of the scores has learnt, as a result states it.
extension Search {
  /// Posterior mean and deviation of the score along each dimension through the best point; empty
  /// with fewer complete trials than a model of the scores needs, and where the scores are so large
  /// that the model leaves the range of a double.
  func slices(best: Best) -> [JSONValue] {
    guard let slices = try? optimizer.slices(at: best.record.point, count: 33),
      slices.allSatisfy({ $0.mean.allSatisfy(\.isFinite) && $0.sd.allSatisfy(\.isFinite) })
    else { return [] }
    return zip(space.coordinates, slices).enumerated().map { index, pair in
      let (coordinate, slice) = pair
      let range = index < space.bounds.count ? space.bounds[index] : 0...1
      return .object([
        "name": .string(coordinate.name),
        "model": coordinate.model.map(JSONValue.string) ?? .null,
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

  /// How far one must move along each dimension for the score to change, as a share of its
  /// interval.
  func lengthScales() -> JSONValue { named(try? optimizer.lengthScales()) }

  /// Each dimension's share of what the model expects to change.
  func importance() -> JSONValue { named(try? optimizer.importance()) }

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
  /// no model, and beyond 2000 trials, whose predictions would take longer than the search.
  func predictions() -> [(mean: Double, sd: Double)?] {
    guard trials.count <= 2000 else { return trials.map { _ in nil } }
    return trials.map { trial in
      guard let found = try? optimizer.predict(trial.point), found.mean.isFinite,
        found.sd.isFinite
      else { return nil }
      return found
    }
  }

  // MARK: Margins

  /// The best trial's margin over plain averaging, and over the best baseline that was evaluated.
  ///
  /// Definition: `difference` is the best's posterior mean less the baseline's; `interval` is
  /// 1.96 sqrt(sd_best^2 + sd_baseline^2) on either side, as if the two were independent, and so
  /// wider than their joint posterior where the two points are close. The model of the scores does
  /// not follow a trial that collapsed, further below the median than the best is above it: of
  /// such a baseline the score told counts, with the variance told.
  func margin(_ best: Best) -> JSONValue {
    let complete = trials.filter(\.isComplete)
    let values = complete.compactMap(\.value).sorted()
    let middle = values.count / 2
    let median = values.isEmpty ? 0 : 0.5 * (values[(values.count - 1) / 2] + values[middle])
    let collapse = median - ((values.last ?? 0) - median)
    var found: [(mean: Double, json: JSONValue, name: String)] = []
    for baseline in space.baselines() {
      guard let point = space.point(of: baseline.candidate),
        let trial = complete.first(where: { $0.point == point }),
        let value = trial.value, var posterior = try? optimizer.predict(point)
      else { continue }
      if value < collapse { posterior = (value, (trial.variance ?? 0).squareRoot()) }
      let isBest = trial.number == best.record.number
      let difference = isBest ? 0 : best.mean - posterior.mean
      let sd = isBest ? 0 : (best.sd * best.sd + posterior.sd * posterior.sd).squareRoot()
      let key = options.bestByPosteriorMean ? posterior.mean : value
      guard difference.isFinite, key.isFinite else { continue }
      found.append(
        (
          key,
          .object([
            "name": .string(baseline.name), "number": .int(Int64(trial.number)),
            "value": .double(value), "difference": .double(difference),
            "interval": .ends(Search.interval(difference, sd)),
          ]), baseline.name
        ))
    }
    // Of equal ones the first, which is the plainer one.
    var highest: (mean: Double, json: JSONValue, name: String)?
    for candidate in found where candidate.mean > highest?.mean ?? -.infinity {
      highest = candidate
    }
    return .object([
      "average": found.first { $0.name == SearchSpace.average }?.json ?? .null,
      "baseline": highest?.json ?? .null,
    ])
  }
}
