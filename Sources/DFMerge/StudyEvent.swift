import DFMergeBO
import DFMergeCore

/// Something that changes a ``Study``: what its journal holds, and what a resumed study replays.
enum StudyEvent: Equatable {
  /// A suggestion was handed out.
  case ask(Suggestion)
  /// Scores were told.
  case scores(number: Int, Scores)
  /// The scores of a first stage were told, and whether the rest is worth its cost.
  case subset(number: Int, Scores, isWorthMore: Bool)
  /// The evaluation failed.
  case failure(number: Int, reason: String?)
  /// A suggestion was taken back.
  case withdrawal(number: Int, reason: String?)
  /// Points to be handed out first, in parameter units.
  case queue([[Double]], repeats: Bool)
  /// A point that was evaluated elsewhere, in parameter units.
  case observation(number: Int, values: [Double], Scores)
}

extension StudyEvent {
  var json: JSONValue {
    func numbers(_ values: [Double]) -> JSONValue { .array(values.map(JSONValue.double)) }
    func event(_ type: String, _ members: [String: JSONValue]) -> JSONValue {
      .object(members.merging(["type": .string(type)]) { member, _ in member })
    }
    func scored(_ scores: Scores) -> [String: JSONValue] {
      [
        "scores": numbers(scores.values),
        "variances": .array(scores.variances.map { $0.map(JSONValue.double) ?? .null }),
      ]
    }
    func explained(_ number: Int, _ reason: String?) -> [String: JSONValue] {
      ["number": .int(Int64(number)), "reason": reason.map(JSONValue.string) ?? .null]
    }
    switch self {
    case .ask(let suggestion):
      return event(
        "ask",
        [
          "number": .int(Int64(suggestion.number)), "origin": .string(suggestion.origin.rawValue),
          "point": numbers(suggestion.point),
        ])
    case .scores(let number, let scores):
      return event(
        "result",
        scored(scores).merging(["number": .int(Int64(number)), "state": .string("complete")]) {
          member, _ in member
        })
    case .subset(let number, let scores, let isWorthMore):
      return event(
        "subset",
        scored(scores).merging(
          ["number": .int(Int64(number)), "worth_more": .bool(isWorthMore)]
        ) { member, _ in member })
    case .failure(let number, let reason):
      return event(
        "result",
        explained(number, reason).merging(["state": .string("failed")]) { member, _ in member })
    case .withdrawal(let number, let reason):
      return event("withdraw", explained(number, reason))
    case .queue(let points, let repeats):
      return event(
        "enqueue", ["points": .array(points.map(numbers)), "repeats": .bool(repeats)])
    case .observation(let number, let values, let scores):
      return event(
        "observation",
        scored(scores).merging(["number": .int(Int64(number)), "values": numbers(values)]) {
          member, _ in member
        })
    }
  }

  /// The event of a journal's line; nil for one that is not this study's or not whole.
  init?(_ json: JSONValue) {
    func numbers(_ value: JSONValue?) -> [Double]? {
      guard let items = value?.arrayValue else { return nil }
      let found = items.compactMap(\.doubleValue)
      return found.count == items.count ? found : nil
    }
    func scores() -> Scores? {
      guard let values = numbers(json["scores"]), let items = json["variances"]?.arrayValue,
        items.allSatisfy({ $0 == .null || $0.doubleValue != nil })
      else { return nil }
      return Scores(values, variances: items.map(\.doubleValue))
    }
    let number = json["number"]?.intValue
    let reason = json["reason"]?.stringValue
    switch (json["type"]?.stringValue, number) {
    case ("ask", let number?):
      guard let point = numbers(json["point"]),
        let origin = json["origin"]?.stringValue.flatMap(Origin.init)
      else { return nil }
      self = .ask(Suggestion(number: number, point: point, origin: origin))
    case ("result", let number?):
      if json["state"] == .string("failed") {
        self = .failure(number: number, reason: reason)
      } else if let scores = scores() {
        self = .scores(number: number, scores)
      } else {
        return nil
      }
    case ("subset", let number?):
      guard let scores = scores(), let isWorthMore = json["worth_more"]?.boolValue else {
        return nil
      }
      self = .subset(number: number, scores, isWorthMore: isWorthMore)
    case ("withdraw", let number?): self = .withdrawal(number: number, reason: reason)
    case ("enqueue", nil):
      let points = json["points"]?.arrayValue?.map(numbers) ?? []
      let found = points.compactMap { $0 }
      guard found.count == points.count, let repeats = json["repeats"]?.boolValue else {
        return nil
      }
      self = .queue(found, repeats: repeats)
    case ("observation", let number?):
      guard let values = numbers(json["values"]), let scores = scores() else { return nil }
      self = .observation(number: number, values: values, scores)
    default: return nil
    }
  }
}
