import DFMergeCore

/// The value of an option that may depend on the tensor.
///
/// Forms, with mergekit's meaning:
/// - a plain value, the same for every tensor;
/// - `{"gradient": [n1, n2, ...]}`: linear between these numbers over the layers of a model. A tensor
///   of layer i of L has the number at place `i / (L - 1)` of the way, 1 where L is 1; one outside
///   the layers has the first number;
/// - a list of `{"filter": text, "value": ...}`: the first whose text is part of the tensor's name,
///   is `"*"`, or is left out. Its value is plain or a gradient. A tensor that none suits gets the
///   option's default.
indirect enum OptionSetting: Sendable {
  case plain(JSONValue)
  case gradient([Double])
  case filters([(filter: String?, value: OptionSetting)])

  /// - Parameter owner: the option, for messages.
  init(_ given: JSONValue, owner: String) throws(DFMergeError) {
    if let members = given.objectValue, let anchors = members["gradient"], members.count == 1 {
      let numbers = anchors.arrayValue?.compactMap(\.doubleValue) ?? []
      guard !numbers.isEmpty, numbers.count == anchors.arrayValue?.count,
        numbers.allSatisfy(\.isFinite)
      else {
        throw OptionSetting.refusal(
          owner, "a gradient that is no list of numbers; give one number or more")
      }
      self = .gradient(numbers)
    } else if OptionSetting.isFilters(given) {
      var found: [(filter: String?, value: OptionSetting)] = []
      for item in given.arrayValue ?? [] {
        let keys = item.objectValue.map { Set($0.keys) } ?? []
        guard let value = item["value"], keys.isSubset(of: ["filter", "value"]) else {
          throw OptionSetting.refusal(
            owner, "a list of filters with something else than {\"filter\", \"value\"}")
        }
        let filter = item["filter"] ?? .null
        guard filter == .null || filter.stringValue != nil else {
          throw OptionSetting.refusal(
            owner, "a filter that is no text; give a part of tensors' names")
        }
        let nested = try OptionSetting(value, owner: owner)
        if case .filters = nested {
          throw OptionSetting.refusal(owner, "filters within filters; write one list")
        }
        let text = filter.stringValue
        found.append((text == "*" ? nil : text, nested))
      }
      self = .filters(found)
    } else {
      self = .plain(given)
    }
  }

  /// Whether a value has the form of a list of filters.
  static func isFilters(_ given: JSONValue) -> Bool {
    guard let items = given.arrayValue, !items.isEmpty else { return false }
    return items.allSatisfy { $0["value"] != nil }
  }

  /// Whether tensors may have different values.
  var varies: Bool {
    if case .plain = self { return false }
    return true
  }

  /// Every plain value that a tensor may get, the ends of gradients among them.
  var leaves: [JSONValue] {
    switch self {
    case .plain(let value): [value]
    case .gradient(let numbers): numbers.map(JSONValue.double)
    case .filters(let items): items.flatMap(\.value.leaves)
    }
  }

  /// Whether there is a gradient, which only numbers have.
  var hasGradient: Bool {
    switch self {
    case .plain: false
    case .gradient: true
    case .filters(let items): items.contains { $0.value.hasGradient }
    }
  }

  /// The value for a tensor; nil where no filter suits it.
  /// - Parameter place: how far through the layers the tensor is, from 0 to 1.
  func value(tensor name: String, place: Double) -> JSONValue? {
    switch self {
    case .plain(let value): return value
    case .gradient(let numbers):
      let steps = numbers.count - 1
      let scaled = min(max(place, 0), 1) * Double(steps)
      let low = min(Int(scaled), steps)
      let high = min(low + 1, steps)
      let part = scaled - Double(low)
      return .double((1 - part) * numbers[low] + part * numbers[high])
    case .filters(let items):
      let found = items.first { item in
        item.filter.map { OptionSetting.contains(name, $0) } ?? true
      }
      return found?.value.value(tensor: name, place: place)
    }
  }

  /// Whether `part` is part of `name`, byte by byte.
  static func contains(_ name: String, _ part: String) -> Bool {
    let text = Array(name.utf8)
    let wanted = Array(part.utf8)
    guard !wanted.isEmpty else { return true }
    guard text.count >= wanted.count else { return false }
    return (0...(text.count - wanted.count)).contains { start in
      text[start..<start + wanted.count].elementsEqual(wanted)
    }
  }

  static func refusal(_ owner: String, _ what: String) -> DFMergeError {
    DFMergeError(.invalidOption, "\(owner) holds \(what).", context: [:])
  }
}
