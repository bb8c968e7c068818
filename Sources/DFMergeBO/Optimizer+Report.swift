import DFMergeCore
import Glibc

extension Optimizer {
  /// What makes a trial the best one.
  public enum Criterion: String, Sendable, Hashable {
    /// The highest score told; of equal ones the first. What the paper reports.
    case observed
    /// The highest posterior mean among the trials with a score: does not reward lucky noise.
    case posteriorMean
  }

  /// A trial with what the model says about it.
  public struct Best: Sendable, Equatable {
    public let number: Int
    public let point: [Double]
    /// The score told.
    public let value: Double
    /// Posterior mean and standard deviation (noise excluded) of the score at the point, in score
    /// units.
    public let mean: Double
    public let sd: Double
    /// The sum of what the tasks miss of their floors, 0 for a feasible trial: by the scores told
    /// for ``Criterion/observed``, by their posterior means for ``Criterion/posteriorMean``.
    public let violation: Double

    /// Whether no task falls below its floor.
    public var isFeasible: Bool { violation == 0 }
  }

  /// The posterior along one coordinate, all others held.
  public struct Slice: Sendable, Equatable {
    /// The coordinate's index.
    public let dimension: Int
    /// Coordinate values, mean and standard deviation in score units: equal lengths.
    public let at: [Double]
    public let mean: [Double]
    public let sd: [Double]
  }

  /// The best trial: of the feasible ones that of the highest score by `criterion`; while none is
  /// feasible, the one that misses its floors by the least. Failed trials, and those that ended
  /// after their first stage, are never it; of equals the lowest number wins.
  ///
  /// Cost: one model fit where trials came in since the last, else O(n³) at most.
  /// - Parameter includingObservations: whether what was ``observe(_:scores:)``d may be it.
  /// - Throws: `.invalidState` before any tell, `.allTrialsFailed` where no trial has a score.
  public func best(
    by criterion: Criterion = .posteriorMean, includingObservations: Bool = true
  ) throws(DFMergeError) -> Best {
    let prediction = try ObjectivePrediction(model())
    var best: Best?
    var highest = -Double.infinity
    for trial in history {
      guard let value = trial.value, let scores = trial.scores,
        includingObservations || trial.origin != .observation
      else { continue }
      let key: Double
      let violation: Double
      switch criterion {
      case .observed:
        key = value
        violation = objective.violation(scores.values)
      case .posteriorMean:
        key = prediction.standardised(trial.point).mean
        violation = prediction.violation(trial.point)
      }
      if let best {
        if violation > best.violation { continue }
        if violation == best.violation, !(key > highest) { continue }
      }
      highest = key
      let (mean, sd) = prediction.predict(trial.point)
      best = Best(
        number: trial.number, point: trial.point, value: value, mean: mean, sd: sd,
        violation: violation)
    }
    guard let best else {
      throw DFMergeError(
        .allTrialsFailed, "No trial but what was observed elsewhere has a score to choose by.")
    }
    return best
  }

  /// Posterior mean and deviation at any point, in score units (noise excluded).
  ///
  /// - Throws: `.invalidArgument` for a point outside the cube; as ``best(by:includingObservations:)`` without scores.
  public func predict(_ point: [Double]) throws(DFMergeError) -> (mean: Double, sd: Double) {
    if let problem = Optimizer.problem(of: point, dimension: dimension) {
      throw DFMergeError(.invalidArgument, "The point to predict at \(problem).")
    }
    let (mean, deviation) = try ObjectivePrediction(model()).predict(point)
    return (mean, deviation)
  }

  /// The posterior along each coordinate through a point: `count` values from 0 to 1, evenly
  /// spaced.
  ///
  /// - Parameters:
  ///   - point: the point; nil takes the best by posterior mean.
  ///   - count: at least 2.
  /// - Throws: `.invalidArgument` for a point outside the cube or a count outside 2 ... 10,000; as
  ///   ``best(by:includingObservations:)`` without scores.
  public func slices(
    at point: [Double]? = nil, count: Int = 33
  ) throws(DFMergeError) -> [Slice] {
    guard (2...10_000).contains(count) else {
      throw DFMergeError(
        .invalidArgument, "A slice was asked with \(count) values; it takes 2 to 10000.")
    }
    if let point, let problem = Optimizer.problem(of: point, dimension: dimension) {
      throw DFMergeError(.invalidArgument, "The point of the slices \(problem).")
    }
    let prediction = try ObjectivePrediction(model())
    let centre: [Double]
    if let point { centre = point } else { centre = try best(by: .posteriorMean).point }
    let at = (0..<count).map { Double($0) / Double(count - 1) }
    return (0..<dimension).map { k in
      var x = centre
      var means: [Double] = []
      var deviations: [Double] = []
      for coordinate in at {
        x[k] = coordinate
        let (mean, deviation) = prediction.predict(x)
        means.append(mean)
        deviations.append(deviation)
      }
      return Slice(dimension: k, at: at, mean: means, sd: deviations)
    }
  }

  /// The model's length-scale per dimension: short where the score reacts to a coordinate, long
  /// where it does not. The paper's model repeats its one length-scale; of tasks that are modelled
  /// separately it is their geometric mean. With ``OptimizerOptions/inputWarping`` lengths are those
  /// of the warped coordinates.
  ///
  /// - Throws: as ``best(by:includingObservations:)`` without scores.
  public func lengthScales() throws(DFMergeError) -> [Double] {
    let parts = try model().roles.filter { $0.weight > 0 }.map(\.output.surrogate.kernel)
    if parts.count == 1 { return parts[0].lengthScales }
    return (0..<dimension).map { k in
      exp(parts.reduce(0) { $0 + log($1.lengthScales[k]) } / Double(parts.count))
    }
  }
}
