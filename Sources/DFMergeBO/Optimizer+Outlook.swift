import DFMergeCore
import Glibc

extension Optimizer {
  /// What the evaluations so far have cost, in units of a full one: the budget's measure.
  ///
  /// A trial that ended after its first stage, and a pending one whose first stage is told, cost
  /// ``OptimizerOptions/subsetShare``; every other trial 1, failed ones included. Knowledge from
  /// elsewhere (``Origin/observation``) costs nothing.
  public var cost: Double {
    let share = options.subsetShare ?? 1
    let open = pending.filter { pendingSubsets[$0.number] != nil }
    return history.reduce(Double(open.count) * share) { total, trial in
      if trial.origin == .observation { return total }
      return total + (trial.endedAfterSubset ? share : 1)
    }
  }

  /// Draws of the scores at the trials, for ``improvementLeft()``.
  private static let improvementSamples = 64

  /// The largest expected improvement that one more evaluation promises anywhere in the cube, in
  /// score units. A search may stop when it falls below what an improvement is worth.
  ///
  /// Definition: max over x of E[max(0, f(x) - max_i f(x_i))] under the posterior of the trials
  ///             told, x_i their points evaluated in full: noise, luck and pending suggestions
  ///             do not count. With floors, times the probability that x keeps to them, x_i the
  ///             feasible points; while there is none, over the lowest objective of all points.
  /// Edge cases: infinite while the objective has floors that no trial told keeps: then the first
  ///             feasible point is what is looked for, and no improvement measures that.
  /// Determinism: a pure function of (options, the trials told).
  /// Cost:       one ``ask()``.
  /// - Throws: as ``best(by:includingObservations:)`` without scores.
  public func improvementLeft() throws(DFMergeError) -> Double {
    let model = try model()
    if objective.isConstrained, highestFeasible == nil { return .infinity }
    let function = try AcquisitionFunction(
      .logNoisyExpectedImprovement(samples: Optimizer.improvementSamples), model: model,
      highest: nil,
      random: CounterRandom(
        seed: options.seed, purpose: "improvement.draws", index: UInt64(history.count)),
      seeksFeasibility: false)
    let search = AcquisitionSearch(
      function: function, surrogate: model, known: [], seed: options.seed,
      number: history.count)
    return exp(function.value(search.maximise(.incumbents)))
  }

  /// Points at which ``importance()`` reads the posterior mean.
  private static let importancePoints = 256

  /// How much each coordinate matters: its share of the posterior mean's variation over the cube.
  /// They sum to 1.
  ///
  /// Definition: the total effect E[Var(m(x) | all coordinates but k)], divided by the sum over k;
  ///             estimated with Jansen's formula, the mean of (m(a) - m(a with a_k from b))² / 2
  ///             over 256 pairs (a, b) of a Sobol' set. Unlike the length-scales it counts where
  ///             the model is flat for lack of amplitude, and interactions go to each partner.
  /// Edge cases: a mean that is constant gives 1/d each.
  /// Cost:       256 (d + 1) predictions.
  /// Source:     Saltelli et al. 2010, "Variance based sensitivity analysis of model output",
  ///             table 2 (f).
  /// - Throws: as ``best(by:includingObservations:)`` without scores.
  public func importance() throws(DFMergeError) -> [Double] {
    let prediction = try ObjectivePrediction(model())
    let d = dimension
    let random = CounterRandom(seed: 0, purpose: "importance")
    let points = SpaceFilling.points(
      count: Optimizer.importancePoints, dimension: 2 * d, random: random)
    var effects = [Double](repeating: 0, count: d)
    for i in 0..<Optimizer.importancePoints {
      let offset = 2 * d * i
      var x = Array(points[offset..<(offset + d)])
      let mean = prediction.standardised(x).mean
      for k in 0..<d {
        let kept = x[k]
        x[k] = points[offset + d + k]
        let change = prediction.standardised(x).mean - mean
        effects[k] += change * change
        x[k] = kept
      }
    }
    let total = effects.reduce(0, +)
    guard total > 0, total.isFinite else {
      return [Double](repeating: 1 / Double(d), count: d)
    }
    return effects.map { $0 / total }
  }
}
