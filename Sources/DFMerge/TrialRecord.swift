import DFMergeBO
import DFMergeCore

/// One trial of a search: what was tried and what came of it.
public struct TrialRecord: Sendable {
  /// Seconds of wall time by where they were spent. Not part of what a resumed run reproduces.
  public struct Seconds: Sendable {
    public internal(set) var evaluate = 0.0
    public internal(set) var fisher = 0.0
    public internal(set) var merge = 0.0
    public internal(set) var optimizer = 0.0
  }

  /// How far a trial came.
  public enum State: String, Sendable {
    /// It has the scores of a whole evaluation.
    case complete
    /// Its scores on the subset did not make the whole evaluation worth its cost.
    case subset
    case failed
  }

  /// Counts from 0.
  public let number: Int
  /// How the point was chosen: "informed", "initial" or "search"; in a greedy soup "alone" or "soup".
  public let origin: String
  /// The optimiser's point of the unit cube.
  public let point: [Double]
  public let candidate: Candidate
  public let state: State
  /// The aggregate that the search maximises; nil for a trial that is not complete.
  public let value: Double?
  /// Its variance, where the host gave the variance of every task.
  public let variance: Double?
  /// One per task; empty for a trial that is not complete.
  public let scores: [Double]
  /// NaN where it is not known.
  public let variances: [Double]
  /// The scores on the subset, where the search has a first stage and the trial came that far.
  public let subset: Scores?
  /// Why the trial failed; nil for others.
  public let failure: String?
  public internal(set) var seconds = Seconds()

  /// What came of a trial.
  enum Outcome {
    case failed(String)
    case subset
    case complete(value: Double, variance: Double?, scores: Scores)
  }

  init(
    number: Int, origin: String, point: [Double], candidate: Candidate, outcome: Outcome,
    subset: Scores?
  ) {
    self.number = number
    self.origin = origin
    self.point = point
    self.candidate = candidate
    self.subset = subset
    switch outcome {
    case .failed(let reason):
      (state, failure) = (.failed, reason)
      (value, variance, scores, variances) = (nil, nil, [], [])
    case .subset:
      (state, failure) = (.subset, nil)
      (value, variance, scores, variances) = (nil, nil, [], [])
    case .complete(let value, let variance, let found):
      (state, failure) = (.complete, nil)
      (self.value, self.variance) = (value, variance)
      scores = found.values
      variances = found.values.indices.map { TrialRecord.variance(of: found, $0) ?? .nan }
    }
  }

  /// Whether the trial has a score.
  public var isComplete: Bool { state == .complete }

  /// Scores as the optimiser takes them: a variance that is no number of 0 or more is unknown.
  static func told(_ values: [Double], variances: [Double]) -> Scores {
    Scores(
      values,
      variances: values.indices.map {
        variances.indices.contains($0) && variances[$0].isFinite && variances[$0] >= 0
          ? variances[$0] : nil
      })
  }

  private static func variance(of scores: Scores, _ task: Int) -> Double? {
    scores.variances.indices.contains(task) ? scores.variances[task] : nil
  }
}

extension TrialRecord {
  /// The event that is written before the evaluation.
  /// - Parameter improvement: what the stopping rule has found before the trial.
  static func startEvent(
    number: Int, origin: String, point: [Double], candidate: Candidate, improvement: Double?
  ) -> JSONValue {
    var members: [String: JSONValue] = [
      "type": .string("trial"), "number": .int(Int64(number)), "origin": .string(origin),
      "point": .array(point.map(JSONValue.double)),
      "coefficients": .array(candidate.coefficients.map(JSONValue.double)),
      "exponent": .double(candidate.exponent),
    ]
    if let improvement { members["improvement"] = .double(improvement) }
    return .object(members)
  }

  /// The event that is written once the subset is scored.
  static func subsetEvent(_ number: Int, _ scores: Scores) -> JSONValue {
    .object([
      "type": .string("subset"), "number": .int(Int64(number)),
      "scores": .array(scores.values.map(JSONValue.double)),
      "variances": variancesJSON(scores),
    ])
  }

  /// JSON says null for what is not known.
  private static func variancesJSON(_ scores: Scores) -> JSONValue {
    .array(scores.values.indices.map { variance(of: scores, $0).map(JSONValue.double) ?? .null })
  }

  /// The event that is written after the evaluation.
  var resultEvent: JSONValue {
    var members: [String: JSONValue] = [
      "type": .string("result"), "number": .int(Int64(number)), "state": .string(state.rawValue),
    ]
    if let value { members["value"] = .double(value) }
    if let variance { members["variance"] = .double(variance) }
    if isComplete {
      members["scores"] = .array(scores.map(JSONValue.double))
      members["variances"] = .array(variances.map { $0.isFinite ? .double($0) : .null })
    }
    if let failure { members["reason"] = .string(failure) }
    return .object(members)
  }

  var timingEvent: JSONValue {
    .object([
      "type": .string("timing"), "number": .int(Int64(number)), "seconds": secondsJSON,
    ])
  }

  var secondsJSON: JSONValue {
    .object([
      "evaluate": .double(seconds.evaluate), "fisher": .double(seconds.fisher),
      "merge": .double(seconds.merge), "optimizer": .double(seconds.optimizer),
    ])
  }

  /// The scores of an event; nil for something else.
  static func scores(of event: JSONValue) -> Scores? {
    guard let items = event["scores"]?.arrayValue else { return nil }
    let values = items.compactMap(\.doubleValue)
    guard values.count == items.count else { return nil }
    let variances = event["variances"]?.arrayValue?.map { $0.doubleValue ?? .nan } ?? []
    return told(values, variances: variances)
  }

  /// Rebuilds a record from its events; nil when they do not belong together.
  /// - Parameter subset: the scores of the trial's first stage, where there was one.
  init?(start: JSONValue, subset: Scores?, result: JSONValue) {
    guard let number = start["number"]?.intValue, result["number"]?.intValue == number,
      let origin = start["origin"]?.stringValue,
      let point = start["point"]?.arrayValue?.compactMap(\.doubleValue),
      let coefficients = start["coefficients"]?.arrayValue?.compactMap(\.doubleValue),
      let exponent = start["exponent"]?.doubleValue,
      let state = result["state"]?.stringValue.flatMap(State.init)
    else { return nil }
    let outcome: Outcome
    switch state {
    case .complete:
      guard let value = result["value"]?.doubleValue, let scores = TrialRecord.scores(of: result)
      else { return nil }
      outcome = .complete(
        value: value, variance: result["variance"]?.doubleValue, scores: scores)
    case .failed:
      guard let reason = result["reason"]?.stringValue, result["value"] == nil else { return nil }
      outcome = .failed(reason)
    case .subset:
      guard subset != nil, result["value"] == nil else { return nil }
      outcome = .subset
    }
    self.init(
      number: number, origin: origin, point: point,
      candidate: Candidate(coefficients: coefficients, exponent: exponent), outcome: outcome,
      subset: subset)
  }
}
