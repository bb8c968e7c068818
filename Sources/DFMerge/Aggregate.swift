import DFMergeCore
import Glibc

/// How the scores of several tasks become the one number that a search maximises.
///
/// Definition, for scores s_t, weights w_t and known variances v_t of T tasks:
///   mean       sum(s_t) / T                     variance sum(v_t) / T^2
///   weighted   sum(w_t s_t) / sum(w_t)          variance sum(w_t^2 v_t) / sum(w_t)^2
///   minimum    min(s_t)                         variance v of that task
///   geometric  (product of s_t)^(1/T)           variance by the delta method, g^2 sum(v_t /
///   s_t^2) / T^2
/// Edge cases: a score or an aggregate that is not finite makes the whole evaluation failed; the
/// geometric mean is 0 when a score is 0 (its variance is then unknown) and failed when one is
/// negative; one unknown variance, or a result beyond the range of a double, makes the variance
/// unknown.
public struct Aggregate: Sendable {
  /// The kinds of aggregation, by the names that options use.
  public enum Kind: String, Sendable, CaseIterable { case mean, weighted, minimum, geometric }

  public let kind: Kind
  private let weights: [Double]

  /// - Parameter weights: one per task, in the tasks' order, for `.weighted`.
  /// - Throws: `.invalidOption` for `.weighted` without one weight per task or with a sum of 0.
  public init(
    _ kind: Kind, tasks: [String], weights: [String: Double]
  ) throws(DFMergeError) {
    self.kind = kind
    guard kind == .weighted else {
      guard weights.isEmpty else {
        throw DFMergeError(
          .invalidOption,
          "task_weights are given but aggregate is '\(kind.rawValue)'; set aggregate to "
            + "'weighted'.",
          context: ["option": "task_weights"])
      }
      self.weights = tasks.map { _ in 1 }
      return
    }
    self.weights = tasks.compactMap { weights[$0] }
    guard self.weights.count == tasks.count, weights.count == tasks.count,
      self.weights.reduce(0, +) > 0
    else {
      throw DFMergeError(
        .invalidOption,
        "aggregate 'weighted' needs task_weights for exactly the tasks "
          + "\(tasks.joined(separator: ", "))"
          + ", not all 0.", context: ["option": "task_weights"])
    }
  }

  /// The aggregate of one evaluation; nil when it counts as failed.
  /// - Parameter variances: NaN for an unknown variance.
  public func value(
    scores: [Double], variances: [Double]
  ) -> (value: Double, variance: Double?)? {
    guard !scores.isEmpty, scores.allSatisfy(\.isFinite),
      let (value, variance) = formula(scores, variances), value.isFinite
    else { return nil }
    // Squares of very small or large numbers leave the range: then nothing is known either.
    return (value, variance.flatMap { $0.isFinite && $0 >= 0 ? $0 : nil })
  }

  private func formula(
    _ scores: [Double], _ variances: [Double]
  ) -> (value: Double, variance: Double?)? {
    let count = Double(scores.count)
    let known = variances.count == scores.count && variances.allSatisfy { $0.isFinite && $0 >= 0 }
    switch kind {
    case .mean:
      return (scores.reduce(0, +) / count, known ? variances.reduce(0, +) / (count * count) : nil)
    case .weighted:
      let total = weights.reduce(0, +)
      let value = zip(weights, scores).reduce(0) { $0 + $1.0 * $1.1 } / total
      let variance = zip(weights, variances).reduce(0) { $0 + $1.0 * $1.0 * $1.1 }
      return (value, known ? variance / (total * total) : nil)
    case .minimum:
      var lowest = 0
      for task in scores.indices where scores[task] < scores[lowest] { lowest = task }
      return (scores[lowest], known ? variances[lowest] : nil)
    case .geometric:
      guard scores.allSatisfy({ $0 >= 0 }) else { return nil }
      guard scores.allSatisfy({ $0 > 0 }) else { return (0, nil) }
      // T-th roots first: a product of many small scores could underflow.
      let value = scores.reduce(1) { $0 * exp(log($1) / count) }
      let relative = zip(scores, variances).reduce(0) { $0 + $1.1 / ($1.0 * $1.0) }
      return (value, known ? value * value * relative / (count * count) : nil)
    }
  }
}
