import DFMergeCore
import Glibc

/// What an optimiser maximises: one score per task, how they become one number, and what each task
/// must not fall below.
///
/// Definition, for scores s_t, weights w_t and known variances v_t of T tasks:
///   mean       sum(s_t) / T                     variance sum(v_t) / T^2
///   weighted   sum(w_t s_t) / sum(w_t)          variance sum(w_t^2 v_t) / sum(w_t)^2
///   minimum    min(s_t)                         variance v of that task
///   geometric  (product of s_t)^(1/T)           variance by the delta method, g^2 sum(v_t /
///   s_t^2) / T^2
/// Constraints: a point is feasible where s_t >= floor_t for every task with a floor. The best
/// point is the feasible one of the highest value; while none is feasible, the one that misses its
/// floors by the least sum.
/// Edge cases: a score or an aggregate that is not finite makes the whole evaluation failed; the
/// geometric mean is 0 when a score is 0 (its variance is then unknown) and failed when one is
/// negative; one unknown variance, or a result beyond the range of a double, makes the variance
/// unknown.
public struct Objective: Sendable, Equatable {
  /// The kinds of aggregation, by the names that options use.
  public enum Aggregate: String, Sendable, CaseIterable { case mean, weighted, minimum, geometric }

  /// The tasks' names, in the order in which scores are told.
  public let tasks: [String]
  public let aggregate: Aggregate
  /// One per task, in their order; all 1 unless the aggregate is weighted.
  public let weights: [Double]
  /// The lowest score that is acceptable, per task; nil where there is none.
  public let floors: [Double?]
  /// The tasks in order of their names: that of every sum, so that the order in which they were
  /// named changes no bit.
  let order: [Int]

  /// One task, maximised as it is.
  public static let single = Objective()

  private init() {
    tasks = ["score"]
    aggregate = .mean
    weights = [1]
    floors = [nil]
    order = [0]
  }

  /// - Parameters:
  ///   - weights: one per task, by name, for `.weighted`; finite, not negative, not all 0.
  ///   - floors: the lowest acceptable score of some tasks, by name; finite.
  /// - Throws: `.invalidOption` for no task, a name twice, `.weighted` without one weight per task
  ///   or with a sum of 0, weights with another aggregate, a floor of an unknown task.
  public init(
    tasks: [String], aggregate: Aggregate = .mean, weights: [String: Double] = [:],
    floors: [String: Double] = [:]
  ) throws(DFMergeError) {
    guard !tasks.isEmpty, Set(tasks).count == tasks.count else {
      throw Objective.refusal(
        "tasks", "are [\(tasks.joined(separator: ", "))]; name one task or more, each once.")
    }
    self.tasks = tasks
    self.aggregate = aggregate
    order = tasks.indices.sorted { tasks[$0] < tasks[$1] }
    if aggregate == .weighted {
      self.weights = tasks.compactMap { weights[$0] }
      let total = self.weights.reduce(0, +)
      guard self.weights.count == tasks.count, weights.count == tasks.count,
        self.weights.allSatisfy({ $0 >= 0 }), total > 0, total.isFinite
      else {
        throw Objective.refusal(
          "task_weights",
          "must be given for exactly the tasks \(tasks.joined(separator: ", ")), none negative, "
            + "not all 0, when aggregate is 'weighted'.")
      }
    } else {
      guard weights.isEmpty else {
        throw Objective.refusal(
          "task_weights",
          "are given but aggregate is '\(aggregate.rawValue)'; set aggregate to 'weighted'.")
      }
      self.weights = tasks.map { _ in 1 }
    }
    for (task, floor) in floors.sorted(by: { $0.key < $1.key }) {
      guard tasks.contains(task), floor.isFinite else {
        throw Objective.refusal(
          "floors",
          "hold \(floor) for '\(task)'; give finite numbers for some of the tasks "
            + "\(tasks.joined(separator: ", ")).")
      }
    }
    self.floors = tasks.map { floors[$0] }
  }

  private static func refusal(_ option: String, _ message: String) -> DFMergeError {
    DFMergeError(.invalidOption, "The \(option) \(message)", context: ["option": option])
  }

  /// Number of tasks, T.
  public var taskCount: Int { tasks.count }

  /// Whether some task has a floor.
  public var isConstrained: Bool { floors.contains { $0 != nil } }

  /// The sum of what the scores miss of their floors: 0 for a feasible point.
  public func violation(_ scores: [Double]) -> Double {
    var total = 0.0
    for (score, floor) in zip(scores, floors) {
      if let floor, score < floor { total += floor - score }
    }
    return total
  }

  var totalWeight: Double { sum { weights[$0] } }

  private func sum(_ term: (Int) -> Double) -> Double { order.reduce(0) { $0 + term($1) } }

  /// The aggregate of one evaluation; nil when it counts as failed.
  /// - Parameter variances: nil or NaN for an unknown variance; empty for none known.
  public func value(
    _ scores: [Double], variances: [Double?] = []
  ) -> (value: Double, variance: Double?)? {
    guard scores.count == tasks.count, scores.allSatisfy(\.isFinite) else { return nil }
    let known = variances.compactMap { $0 }.filter { $0.isFinite && $0 >= 0 }
    guard
      let (value, variance) = formula(scores, known.count == scores.count ? known : nil),
      value.isFinite
    else { return nil }
    // Squares of very small or large numbers leave the range: then nothing is known either.
    return (value, variance.flatMap { $0.isFinite && $0 >= 0 ? $0 : nil })
  }

  private func formula(
    _ scores: [Double], _ variances: [Double]?
  ) -> (value: Double, variance: Double?)? {
    let count = Double(scores.count)
    switch aggregate {
    case .mean:
      return (
        sum { scores[$0] } / count, variances.map { known in sum { known[$0] } / (count * count) }
      )
    case .weighted:
      let total = totalWeight
      return (
        sum { weights[$0] * scores[$0] } / total,
        variances.map { known in
          sum { weights[$0] * weights[$0] * known[$0] } / (total * total)
        }
      )
    case .minimum:
      var lowest = order[0]
      for task in order where scores[task] < scores[lowest] { lowest = task }
      return (scores[lowest], variances?[lowest])
    case .geometric:
      guard scores.allSatisfy({ $0 >= 0 }) else { return nil }
      guard scores.allSatisfy({ $0 > 0 }) else { return (0, nil) }
      // T-th roots first: a product of many small scores could underflow.
      let value = order.reduce(1) { $0 * exp(log(scores[$1]) / count) }
      return (
        value,
        variances.map { known in
          let relative = sum { known[$0] / (scores[$0] * scores[$0]) }
          return value * value * relative / (count * count)
        }
      )
    }
  }
}
