import DFMergeBO
import DFMergeCore

/// How far the best trial of a search is above a merge that needs no search.
public struct Margin: Sendable {
  /// What it is compared with: "average", "task arithmetic 0.3", "a alone" ...
  public let name: String
  /// The trial that evaluated it.
  public let number: Int
  /// The score that it was told.
  public let value: Double
  /// The best's posterior mean less that of the baseline, in a greedy soup the score told less that
  /// of the baseline; 0 where they are the same trial.
  public let difference: Double
  /// The 95 % interval of the difference: 1.96 sqrt(sd_best^2 + sd_baseline^2) on either side, as
  /// if the two were independent, and so wider than their joint posterior where the two points are
  /// close. Nil where an end is beyond the range of a double, and in a greedy soup.
  public let interval: ClosedRange<Double>?

  /// As it stands in a result.
  var json: JSONValue {
    .object([
      "name": .string(name), "number": .int(Int64(number)), "value": .double(value),
      "difference": .double(difference), "interval": .ends(interval),
    ])
  }
}

extension Search {
  /// The best trial's margins over plain averaging, and over the best baseline that was evaluated;
  /// in a greedy soup, whose own candidate the average is, over the best model alone.
  ///
  /// Of a baseline that collapsed the score told counts, with the variance told, for the model does
  /// not follow it.
  func margins(_ best: Best) -> (average: Margin?, baseline: Margin?) {
    let complete = trials.filter(\.isComplete)
    let collapse = collapsed
    var found: [(mean: Double, margin: Margin)] = []
    for baseline in space.baselines() {
      guard let point = space.point(of: baseline.candidate),
        let trial = complete.first(where: { $0.point == point }),
        let value = trial.value,
        var posterior = space.isSoup ? (mean: value, sd: 0) : try? optimizer.predict(point)
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
          Margin(
            name: baseline.name, number: trial.number, value: value, difference: difference,
            interval: space.isSoup ? nil : Search.interval(difference, sd))
        ))
    }
    // Of equal ones the first, which is the plainer one.
    var highest: (mean: Double, margin: Margin)?
    for candidate in found where candidate.mean > highest?.mean ?? -.infinity {
      if space.isSoup, candidate.margin.name == SearchSpace.average { continue }
      highest = candidate
    }
    return (found.first { $0.margin.name == SearchSpace.average }?.margin, highest?.margin)
  }
}
