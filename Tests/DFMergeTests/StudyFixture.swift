import Testing

@testable import DFMerge
@testable import DFMergeCore

/// A study over two parameters with a known best point, and a script of calls to it.
enum StudyFixture {
  static let goal = [0.5, 3.0]

  /// Options as JSON text, with the parameters x in [-1, 1] and y in [2, 6] added.
  static func study(
    _ options: String = "{}", journal: TemporaryPath? = nil
  ) throws -> Study {
    var members = try JSONValue(parsing: options.utf8, what: "options").objectValue ?? [:]
    let parameters = #"[{"name":"x","low":-1,"high":1},{"name":"y","low":2,"high":6}]"#
    if members["parameters"] == nil {
      members["parameters"] = try JSONValue(parsing: parameters.utf8, what: "parameters")
    }
    return try Study(options: .object(members), journal: journal?.path)
  }

  /// 1 at the goal, falling with the distance.
  static func score(_ values: [Double]) -> Double {
    1 - zip(values, goal).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) / 4 }
  }

  static func tell(_ study: Study, _ number: Int) throws {
    try study.tell(number, value: score(study.trials[number].values))
  }

  /// Calls as of three workers: results out of order, one failed, one withdrawn and told late,
  /// queued points and knowledge from elsewhere.
  static let script: [@Sendable (Study) throws -> Void] = [
    { try $0.enqueue([[0, 4], [0.1, 5]]) },
    { _ = try $0.ask(3) },
    { try tell($0, 2) },
    { try $0.observe([0.3, 2.5], scores: Scores([0.9], variances: [1e-3])) },
    { try tell($0, 0) },
    { _ = try $0.ask() },
    { try $0.tellFailed(1, reason: "no memory") },
    { _ = try $0.ask(2) },
    { try $0.withdraw(4) },
    { try tell($0, 6) },
    { _ = try $0.ask() },
    { try $0.tell(5, value: .nan) },
    { try tell($0, 4) },
    { try $0.enqueue([[0, 4]]) },
    { try $0.enqueue([[0, 4], [-0.7, 2]], repeats: true) },
    { _ = try $0.ask(4) },
    { try tell($0, 9) },
    { _ = try $0.ask() },
    { try tell($0, 11) },
    { _ = try $0.ask(2) },
  ]

  /// Calls with first stages: asks, tells the subset's score and, where it is worth it, the full one.
  static let stagedScript: [@Sendable (Study) throws -> Void] =
    [{ _ = try $0.ask(4) }, { for number in 0..<4 { try tell($0, number) } }]
    + [_](repeating: tellInStages, count: 8)

  @Sendable private static func tellInStages(_ study: Study) throws {
    let number = try study.ask(2)[0].number
    // Every other first stage collapses, which leaves nothing to hope for.
    let lost = number % 4 == 0 ? 0.05 : 2
    if try study.tellSubset(number, value: score(study.trials[number].values) - lost) {
      if number % 3 == 0 { try study.withdraw(number) }
      try tell(study, number)
    }
  }

  static let stagedOptions = #"{"initial":4,"seed":3,"subset_share":0.25}"#

  static let options = #"{"initial":5,"seed":7}"#
}
