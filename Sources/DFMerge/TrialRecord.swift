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

  /// Counts from 0.
  public let number: Int
  /// How the point was chosen: "informed", "initial" or "search".
  public let origin: String
  /// The optimiser's point of the unit cube.
  public let point: [Double]
  public let candidate: Candidate
  /// The aggregate that the search maximises; nil for a failed trial.
  public let value: Double?
  /// Its variance, where the host gave the variance of every task.
  public let variance: Double?
  /// One per task; empty for a failed trial.
  public let scores: [Double]
  public let variances: [Double]
  /// Why the trial failed; nil for a complete one.
  public let failure: String?
  public internal(set) var seconds = Seconds()

  /// What came of a trial.
  enum Outcome {
    case failed(String)
    case complete(value: Double, variance: Double?, scores: [Double], variances: [Double])
  }

  init(
    number: Int, origin: String, point: [Double], candidate: Candidate, outcome: Outcome
  ) {
    self.number = number
    self.origin = origin
    self.point = point
    self.candidate = candidate
    switch outcome {
    case .failed(let reason):
      (value, variance, scores, variances, failure) = (nil, nil, [], [], reason)
    case .complete(let value, let variance, let scores, let variances):
      (self.value, self.variance, self.scores, self.variances, failure) =
        (value, variance, scores, variances, nil)
    }
  }

  /// Whether the trial has a score.
  public var isComplete: Bool { value != nil }
}

extension TrialRecord {
  /// The event that is written before the evaluation.
  static func startEvent(
    number: Int, origin: String, point: [Double], candidate: Candidate
  ) -> JSONValue {
    .object([
      "type": .string("trial"), "number": .int(Int64(number)), "origin": .string(origin),
      "point": .array(point.map(JSONValue.double)),
      "coefficients": .array(candidate.coefficients.map(JSONValue.double)),
      "exponent": .double(candidate.exponent),
    ])
  }

  /// The event that is written after it.
  var resultEvent: JSONValue {
    var members: [String: JSONValue] = [
      "type": .string("result"), "number": .int(Int64(number)),
      "state": .string(isComplete ? "complete" : "failed"),
    ]
    if let value { members["value"] = .double(value) }
    if let variance { members["variance"] = .double(variance) }
    if isComplete {
      members["scores"] = .array(scores.map(JSONValue.double))
      // A NaN stands for "unknown" in memory; JSON says null.
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

  /// Rebuilds a record from its two events; nil when they do not belong together.
  init?(start: JSONValue, result: JSONValue) {
    guard let number = start["number"]?.intValue, result["number"]?.intValue == number,
      let origin = start["origin"]?.stringValue,
      let point = start["point"]?.arrayValue?.compactMap(\.doubleValue),
      let coefficients = start["coefficients"]?.arrayValue?.compactMap(\.doubleValue),
      let exponent = start["exponent"]?.doubleValue
    else { return nil }
    self.number = number
    self.origin = origin
    self.point = point
    candidate = Candidate(coefficients: coefficients, exponent: exponent)
    value = result["value"]?.doubleValue
    variance = result["variance"]?.doubleValue
    scores = result["scores"]?.arrayValue?.compactMap(\.doubleValue) ?? []
    variances = result["variances"]?.arrayValue?.map { $0.doubleValue ?? .nan } ?? []
    failure = result["reason"]?.stringValue
    guard (value == nil) == (result["state"]?.stringValue == "failed") else { return nil }
  }

  /// The trial as it stands in a search's result.
  func json(models: [String], tasks: [String]) -> JSONValue {
    func named(_ names: [String], _ values: [Double]) -> JSONValue {
      .object(Dictionary(zip(names, values.map(JSONValue.double))) { first, _ in first })
    }
    return .object([
      "number": .int(Int64(number)), "origin": .string(origin),
      "coefficients": named(models, candidate.coefficients),
      "exponent": .double(candidate.exponent),
      "value": value.map(JSONValue.double) ?? .null,
      "variance": variance.map(JSONValue.double) ?? .null,
      "scores": isComplete ? named(tasks, scores) : .null,
      "state": .string(isComplete ? "complete" : "failed"),
      "reason": failure.map(JSONValue.string) ?? .null, "seconds": secondsJSON,
    ])
  }
}
