import DFMergeBO
import DFMergeCore

/// Everything that decides what a ``Study`` suggests. Options travel as JSON and are checked
/// against ``schema``; the preset fills in what the caller leaves out.
public struct StudyOptions: Sendable {
  /// Every option with type, range, default and meaning.
  public static let schema: [OptionSchema] =
    [
      OptionSchema(
        "parameters", .parameters(-1e300...1e300), default: .null,
        "The parameters, in order: their names and the ends of their intervals.")
    ] + OptimizerSettings.schema + [
      OptionSchema(
        "informed", .flag, default: .bool(false),
        "For parameters that are merging coefficients: start with all of them equal to 1/d, 0.3, "
          + "0.5 and 0.15, as far as the intervals include these."),
      OptionSchema(
        "lease_seconds", .number(0...1e9), default: .double(0),
        "A suggestion that is not told this long after it was asked for is withdrawn at the next "
          + "ask, and its point may go to another worker; 0 waits for ever."),
    ]

  /// The schema as a JSON array, for the bindings.
  public static var schemaJSON: JSONValue { .array(schema.map(\.json)) }

  let settings: OptimizerSettings
  let space: StudySpace
  let isInformed: Bool
  let leaseSeconds: Double
  /// Every option with its value, as it stands in the journal.
  public let json: JSONValue

  /// Names of the parameters, in order.
  public var names: [String] { space.names }
  /// The interval of each parameter, in order.
  public var bounds: [ClosedRange<Double>] { space.bounds }
  /// What is maximised.
  public var objective: Objective { settings.objective }
  /// Number of evaluations after which ``Study/stopReason()`` says so.
  public var trials: Int { settings.trials }

  /// Checks options and fills in the preset's defaults.
  /// - Parameter given: a JSON object with `parameters` at least.
  /// - Throws: `.unknownName`, `.invalidOption`.
  public init(_ given: JSONValue) throws(DFMergeError) {
    let owner = "the optimiser"
    let values = try OptionValues(
      given, schema: StudyOptions.schema, owner: owner, models: [],
      overrides: given["preset"]?.stringValue == "paper" ? OptimizerSettings.paper : [:])
    let parameters = values.parameters("parameters")
    guard !parameters.isEmpty else {
      throw DFMergeError(
        .invalidOption,
        "Option 'parameters' of \(owner) is missing; give a list of {\"name\", \"low\", "
          + "\"high\"}.", context: ["option": "parameters"])
    }
    space = StudySpace(names: parameters.map(\.name), bounds: parameters.map(\.range))
    settings = try OptimizerSettings(values, given: given, owner: owner)
    isInformed = try values.flag("informed")
    leaseSeconds = try values.number("lease_seconds")
    json = .object(values.values)
  }

  /// Options that a journal may be continued with other values of.
  static let free = OptimizerSettings.free.union(["lease_seconds"])

  func makeOptimizer() throws(DFMergeError) -> Optimizer {
    try Optimizer(
      dimension: space.dimension, objective: settings.objective,
      options: settings.optimizerOptions(informed: isInformed ? space.informedPoints() : []))
  }
}
