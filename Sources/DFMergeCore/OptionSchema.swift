/// One option of a method or of a search: its name, what it takes, its default and its meaning.
///
/// Schemas are data: the C API and the bindings print them as JSON, check what a caller passes
/// against them, and take every default from here.
public struct OptionSchema: Sendable {
  /// What an option takes.
  public enum Kind: Sendable {
    /// A finite number in a closed range.
    case number(ClosedRange<Double>)
    /// A whole number in a closed range.
    case integer(ClosedRange<Int>)
    /// A number of bytes of 1 or more, or a text such as `"300MB"`; checked further by its owner.
    case byteSize
    /// `true` or `false`.
    case flag
    /// One of the listed words.
    case choice([String])
    /// `true`, `false` or one of the words.
    case flagOrChoice([String])
    /// A number in the range, or one of the words.
    case numberOrChoice(ClosedRange<Double>, [String])
    /// One number for all models, a list in the models' order, or an object by model name.
    case numberPerModel(ClosedRange<Double>)
    /// A pair `[low, high]`, or an object of pairs by model name; low < high, both in the range.
    case intervalPerModel(ClosedRange<Double>)
    /// A list of distinct, non-empty names.
    case names
    /// An object from task name to a number in the range; every task when it is not empty.
    case numberPerTask(ClosedRange<Double>)
    /// A list of objects `{"name", "low", "high"}` with distinct, non-empty names and low < high,
    /// both in the range; one or more.
    case parameters(ClosedRange<Double>)
    /// A JSON value with a form of its own, which the text describes; checked by its owner.
    case structured(String)

    /// Whether the option's values are numbers, of which there may be some between two others.
    package var isNumeric: Bool {
      switch self {
      case .number, .numberOrChoice, .numberPerModel: true
      default: false
      }
    }
  }

  public let name: String
  public let kind: Kind
  /// Used when the caller is silent; `.null` means that the option has no value then.
  public let defaultValue: JSONValue
  /// One or two sentences for people.
  public let summary: String
  /// Whether a method may have another value for each tensor.
  public let varies: Bool

  public init(
    _ name: String, _ kind: Kind, default value: JSONValue, varies: Bool = true, _ summary: String
  ) {
    self.name = name
    self.kind = kind
    self.defaultValue = value
    self.varies = varies
    self.summary = summary
  }

  /// The schema as JSON: `name`, `type`, `default`, `summary`, and `minimum`, `maximum`, `choices`,
  /// `form` where the type has them.
  public var json: JSONValue {
    var members: [String: JSONValue] = [
      "name": .string(name), "default": defaultValue, "varies": .bool(varies),
      "summary": .string(summary),
    ]
    func range(_ range: ClosedRange<Double>) {
      // An open end has no JSON number; it is left out.
      if range.lowerBound.isFinite { members["minimum"] = .double(range.lowerBound) }
      if range.upperBound.isFinite { members["maximum"] = .double(range.upperBound) }
    }
    switch kind {
    case .number(let limits):
      members["type"] = .string("number")
      range(limits)
    case .integer(let limits):
      members["type"] = .string("integer")
      members["minimum"] = .int(Int64(limits.lowerBound))
      members["maximum"] = .int(Int64(limits.upperBound))
    case .byteSize: members["type"] = .string("byte_size")
    case .flag: members["type"] = .string("boolean")
    case .choice(let words):
      members["type"] = .string("choice")
      members["choices"] = .array(words.map(JSONValue.string))
    case .flagOrChoice(let words):
      members["type"] = .string("boolean_or_choice")
      members["choices"] = .array(words.map(JSONValue.string))
    case .numberOrChoice(let limits, let words):
      members["type"] = .string("number_or_choice")
      members["choices"] = .array(words.map(JSONValue.string))
      range(limits)
    case .numberPerModel(let limits):
      members["type"] = .string("number_per_model")
      range(limits)
    case .intervalPerModel(let limits):
      members["type"] = .string("interval_per_model")
      range(limits)
    case .names: members["type"] = .string("names")
    case .numberPerTask(let limits):
      members["type"] = .string("number_per_task")
      range(limits)
    case .parameters(let limits):
      members["type"] = .string("parameters")
      range(limits)
    case .structured(let form):
      members["type"] = .string("structured")
      members["form"] = .string(form)
    }
    return .object(members)
  }
}
