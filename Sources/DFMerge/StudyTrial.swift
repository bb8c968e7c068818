import DFMergeBO
import DFMergeCore

/// One suggestion or observation of a ``Study`` and what came of it.
public struct StudyTrial: Sendable, Equatable {
  /// How far a trial is.
  public enum State: String, Sendable, Hashable {
    /// Asked for and not told yet.
    case running
    /// Told, with a value.
    case complete
    /// Ended after its first stage, which showed that the rest is not worth its cost.
    case subset
    /// Told without a value: the evaluation failed.
    case failed
    /// Taken back, by the caller or because its lease ran out. It may still be told.
    case withdrawn
  }

  /// Counts from 0, in order of asking.
  public let number: Int
  public let origin: Origin
  /// The values of the parameters, in their order.
  public let values: [Double]
  /// The same in the unit cube.
  let point: [Double]
  public internal(set) var state = State.running
  /// One score per task, with variances where they are known; nil unless the trial is complete.
  public internal(set) var scores: Scores?
  /// The scores of the first stage, where there was one.
  public internal(set) var subset: Scores?
  /// The aggregate that is maximised, and its noise variance where it is known.
  public internal(set) var value: Double?
  public internal(set) var variance: Double?
  /// Why the trial failed or was withdrawn.
  public internal(set) var reason: String?
  /// When it was asked for and told, in seconds since 1970; nil where a killed run left no trace.
  public internal(set) var asked: Double?
  public internal(set) var told: Double?

  init(number: Int, origin: Origin, values: [Double], point: [Double]) {
    self.number = number
    self.origin = origin
    self.values = values
    self.point = point
  }

  /// Whether the trial has been told.
  public var isTold: Bool { state != .running && state != .withdrawn }

  /// The trial as it stands in a result.
  func json(names: [String], tasks: [String]) -> JSONValue {
    func named(_ names: [String], _ values: [JSONValue]) -> JSONValue {
      .object(Dictionary(zip(names, values)) { first, _ in first })
    }
    let seconds: JSONValue =
      if let asked, let told { .double(max(told - asked, 0)) } else { .null }
    return .object([
      "number": .int(Int64(number)), "origin": .string(origin.rawValue),
      "params": named(names, values.map(JSONValue.double)),
      "value": value.map(JSONValue.double) ?? .null,
      "variance": variance.map(JSONValue.double) ?? .null,
      "scores": scores.map { named(tasks, $0.values.map(JSONValue.double)) } ?? .null,
      "subset": subset.map { named(tasks, $0.values.map(JSONValue.double)) } ?? .null,
      "variances": scores.map { scores in
        named(
          tasks,
          scores.values.indices.map { index in
            let known = index < scores.variances.count ? scores.variances[index] : nil
            return known.map(JSONValue.double) ?? .null
          })
      } ?? .null,
      "state": .string(state.rawValue), "reason": reason.map(JSONValue.string) ?? .null,
      "asked": asked.map(JSONValue.double) ?? .null,
      "seconds": .object(["evaluate": seconds]),
    ])
  }
}
