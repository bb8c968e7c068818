/// Options after the check against their schema: every option has a value of the right kind.
public struct OptionValues: Sendable {
  /// Every option by name, defaults filled in.
  public let values: [String: JSONValue]
  private let owner: String
  private let models: [String]

  /// Checks `given` against `schema` and fills in the defaults.
  /// - Parameters:
  ///   - given: an object, or `.null` for "all defaults".
  ///   - owner: whose options these are, for messages ("method 'average'").
  ///   - models: names of the models in order, for options with a value per model.
  ///   - overrides: defaults that replace the schema's (a preset).
  /// - Throws: `.unknownName` for an option that does not exist, `.invalidOption` for a value that
  ///   the option does not take.
  public init(
    _ given: JSONValue, schema: [OptionSchema], owner: String, models: [String],
    overrides: [String: JSONValue] = [:]
  ) throws(DFMergeError) {
    let members: [String: JSONValue]
    switch given {
    case .null: members = [:]
    case .object(let object): members = object
    default:
      throw DFMergeError(.invalidOption, "The options of \(owner) must be a JSON object.")
    }
    let known = schema.map(\.name)
    for name in members.keys.sorted() where !known.contains(name) {
      throw DFMergeError(
        .unknownName,
        "There is no option '\(JSONValue.cut(name))' of \(owner); it takes: \(known.joined(separator: ", ")).",
        context: ["option": JSONValue.cut(name)])
    }
    var values: [String: JSONValue] = [:]
    for option in schema {
      let fallback = overrides[option.name] ?? option.defaultValue
      let value = members[option.name] ?? fallback
      // A recipe says null where an option without a default was left out.
      if value != .null || fallback != .null {
        try OptionValues.check(value, option, owner: owner, models: models)
      }
      values[option.name] = value
    }
    self.values = values
    self.owner = owner
    self.models = models
  }

  /// The number of an option of kind `number` (or of `numberOrChoice` when it holds a number).
  public func number(_ name: String) throws(DFMergeError) -> Double {
    guard let value = values[name]?.doubleValue else { throw missing(name, "number") }
    return value
  }

  /// The whole number of an option of kind `integer`.
  public func integer(_ name: String) throws(DFMergeError) -> Int {
    guard let value = values[name]?.intValue else { throw missing(name, "whole number") }
    return value
  }

  /// The value of an option of kind `flag` (or of `flagOrChoice` when it holds no word).
  public func flag(_ name: String) throws(DFMergeError) -> Bool {
    guard let value = values[name]?.boolValue else { throw missing(name, "flag") }
    return value
  }

  /// The word of an option of kind `choice`; nil when a `numberOrChoice` holds a number, or a
  /// `flagOrChoice` a flag.
  public func word(_ name: String) -> String? { values[name]?.stringValue }

  /// One number per model, in the models' order.
  public func numberPerModel(_ name: String) throws(DFMergeError) -> [Double] {
    switch values[name] {
    case .array(let items): return items.compactMap(\.doubleValue)
    case .object(let members): return models.compactMap { members[$0]?.doubleValue }
    case .some(let value):
      guard let number = value.doubleValue else { break }
      return models.map { _ in number }
    case nil: break
    }
    throw missing(name, "number per model")
  }

  /// One interval per model, in the models' order.
  public func intervalPerModel(_ name: String) throws(DFMergeError) -> [ClosedRange<Double>] {
    func interval(_ value: JSONValue?) -> ClosedRange<Double>? {
      guard let ends = value?.arrayValue, ends.count == 2, let low = ends[0].doubleValue,
        let high = ends[1].doubleValue, low < high
      else { return nil }
      return low...high
    }
    if case .object(let members)? = values[name] {
      return models.compactMap { interval(members[$0]) }
    }
    guard let shared = interval(values[name]) else { throw missing(name, "interval") }
    return models.map { _ in shared }
  }

  /// The names of the models, in order.
  package var modelNames: [String] { models }

  /// The model that an option names: by a text, its name, or by a whole number, its place from 0.
  /// Nil where the option has no value or names none.
  package func model(_ name: String) -> Int? {
    if let text = values[name]?.stringValue { return models.firstIndex(of: text) }
    return values[name]?.intValue.flatMap { models.indices.contains($0) ? $0 : nil }
  }

  /// The names of an option of kind `names`; empty when it has no value.
  public func names(_ name: String) -> [String] {
    values[name]?.arrayValue?.compactMap(\.stringValue) ?? []
  }

  /// The parameters of an option of kind `parameters`, in order; empty when it has no value.
  public func parameters(_ name: String) -> [(name: String, range: ClosedRange<Double>)] {
    (values[name]?.arrayValue ?? []).compactMap { item in
      guard let label = item["name"]?.stringValue, let low = item["low"]?.doubleValue,
        let high = item["high"]?.doubleValue, low < high
      else { return nil }
      return (label, low...high)
    }
  }

  private func missing(_ name: String, _ kind: String) -> DFMergeError {
    DFMergeError(
      .invalidOption, "Option '\(name)' of \(owner) needs a \(kind).", context: ["option": name])
  }

  private static func check(
    _ value: JSONValue, _ option: OptionSchema, owner: String, models: [String]
  ) throws(DFMergeError) {
    /// The number of the first model whose value is wrong, where that can be said.
    var wrong: Int?
    func fail(_ expected: String) -> DFMergeError {
      var context = ["option": option.name]
      context["model"] = wrong.map { String($0) }
      return DFMergeError(
        .invalidOption,
        "Option '\(option.name)' of \(owner) is \(value.shown); it takes \(expected).",
        context: context)
    }
    func isNumber(_ value: JSONValue?, in range: ClosedRange<Double>) -> Bool {
      guard let number = value?.doubleValue else { return false }
      return number.isFinite && range.contains(number)
    }
    func namesMatch(_ keys: some Collection<String>) -> Bool {
      // Two models of one name: which is meant cannot be told.
      Set(keys) == Set(models) && Set(models).count == models.count
    }

    switch option.kind {
    case .number(let range):
      guard isNumber(value, in: range) else { throw fail("a number \(text(range))") }
    case .integer(let range):
      guard let number = value.intValue, range.contains(number) else {
        throw fail("a whole number from \(range.lowerBound) to \(range.upperBound)")
      }
    case .byteSize:
      guard value.intValue.map({ $0 > 0 }) == true || value.stringValue != nil else {
        throw fail("a number of bytes of 1 or more, or a text such as \"300MB\"")
      }
    case .flag:
      guard value.boolValue != nil else { throw fail("true or false") }
    case .choice(let words):
      guard let word = value.stringValue, words.contains(word) else {
        throw fail("one of \(words.joined(separator: ", "))")
      }
    case .flagOrChoice(let words):
      guard value.boolValue != nil || value.stringValue.map(words.contains) == true else {
        throw fail("true, false or \(words.joined(separator: ", "))")
      }
    case .numberOrChoice(let range, let words):
      guard isNumber(value, in: range) || value.stringValue.map(words.contains) == true else {
        throw fail("a number \(text(range)) or one of \(words.joined(separator: ", "))")
      }
    case .numberPerModel(let range):
      let valid =
        switch value {
        case .array(let items):
          items.count == models.count && items.allSatisfy { isNumber($0, in: range) }
        case .object(let members):
          namesMatch(members.keys) && members.values.allSatisfy { isNumber($0, in: range) }
        default: isNumber(value, in: range)
        }
      guard valid else {
        if let items = value.arrayValue, items.count == models.count {
          wrong = items.firstIndex { !isNumber($0, in: range) }
        }
        throw fail(
          "a number \(text(range)), a list of \(models.count) of them, or one for each of the "
            + "models \(models.joined(separator: ", "))")
      }
    case .intervalPerModel(let range):
      func isInterval(_ value: JSONValue) -> Bool {
        guard let ends = value.arrayValue, ends.count == 2, isNumber(ends[0], in: range),
          isNumber(ends[1], in: range), let low = ends[0].doubleValue,
          let high = ends[1].doubleValue
        else { return false }
        return low < high
      }
      let valid =
        switch value {
        case .object(let members):
          namesMatch(members.keys) && members.values.allSatisfy(isInterval)
        default: isInterval(value)
        }
      guard valid else {
        throw fail(
          "a pair [low, high] with low < high, \(text(range)), or one pair for each of the models "
            + models.joined(separator: ", "))
      }
    case .names:
      let names = value.arrayValue?.compactMap(\.stringValue) ?? []
      guard let items = value.arrayValue, names.count == items.count,
        Set(names).count == names.count, !names.contains("")
      else { throw fail("a list of distinct names") }
    case .numberPerTask(let range):
      guard let members = value.objectValue, members.values.allSatisfy({ isNumber($0, in: range) })
      else { throw fail("an object of numbers \(text(range)) by task") }
    case .parameters(let range):
      let items = value.arrayValue ?? []
      let names = items.compactMap { $0["name"]?.stringValue }
      let valid = items.allSatisfy { item in
        guard item.objectValue?.count == 3, isNumber(item["low"], in: range),
          isNumber(item["high"], in: range), let low = item["low"]?.doubleValue,
          let high = item["high"]?.doubleValue
        else { return false }
        return low < high
      }
      guard valid, !items.isEmpty, Set(names).count == items.count, !names.contains("") else {
        throw fail(
          "a list of one object or more, each {\"name\", \"low\", \"high\"} with its own name "
            + "and low < high, \(text(range))")
      }
    case .structured: break
    }
  }

  private static func text(_ range: ClosedRange<Double>) -> String {
    switch (range.lowerBound.isFinite, range.upperBound.isFinite) {
    case (true, true): "from \(range.lowerBound) to \(range.upperBound)"
    case (true, false): "of at least \(range.lowerBound)"
    case (false, true): "of at most \(range.upperBound)"
    case (false, false): "that is finite"
    }
  }
}
