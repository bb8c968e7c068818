/// Options as Swift writes them: `["trials": 40, "tasks": ["maths", "code"], "bounds": [0, 1.5]]`.
extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByStringInterpolation,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  public init(nilLiteral: ()) { self = .null }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(integerLiteral value: Int64) { self = .int(value) }
  public init(floatLiteral value: Double) { self = .double(value) }
  public init(stringLiteral value: String) { self = .string(value) }
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }

  /// Of a key that is written twice the last value counts, as when a variable is set twice.
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(Dictionary(elements) { _, last in last })
  }

  /// The value of a variable, for options that are known when the program runs:
  /// `["trials": JSONValue(trials)]`.
  public init(_ value: Int) { self = .int(Int64(value)) }
  public init(_ value: Double) { self = .double(value) }
  public init(_ value: Bool) { self = .bool(value) }
  public init(_ value: String) { self = .string(value) }
  public init(_ values: [JSONValue]) { self = .array(values) }
  public init(_ values: [String]) { self = .array(values.map(JSONValue.string)) }
  public init(_ values: [Double]) { self = .array(values.map(JSONValue.double)) }
  public init(_ members: [String: JSONValue]) { self = .object(members) }
}
