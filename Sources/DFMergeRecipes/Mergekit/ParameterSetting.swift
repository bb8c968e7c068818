import DFMergeCore

/// A parameter's value as mergekit has it: one number, or numbers by tensor name and layer.
///
/// Definition:  the entries are gone through in order; the first whose filter is a part of the
/// tensor's name, or that has none, gives the value. One number is that number; several are a
/// gradient, piecewise linear over the layers from the first to the last.
struct ParameterSetting: Sendable, Equatable {
  struct Entry: Sendable, Equatable {
    /// A part of tensor names; nil fits all.
    let filter: String?
    /// One or more.
    let values: [Double]
  }

  /// Where the value stands in the file.
  let line: Int
  private(set) var entries: [Entry]

  init(_ value: Double, line: Int) {
    self.line = line
    entries = [Entry(filter: nil, values: [value])]
  }

  /// Reads a number, a list of numbers, or a list of mappings of `value` and perhaps `filter`.
  /// - Parameter name: the parameter's name, for messages.
  init(
    _ node: YAMLNode, name: String, place: RecipeFileName
  ) throws(DFMergeError) {
    line = node.line
    entries = []
    guard let items = node.items, items.contains(where: { $0.members != nil }) else {
      let values = try ParameterSetting.scalarOrGradient(node, name: name, place: place)
      entries = [Entry(filter: nil, values: values)]
      return
    }
    for item in items {
      guard let members = item.members else {
        throw place(item.line).invalid(
          "'\(name)' mixes numbers with filters; give every entry of the list a 'value'")
      }
      for member in members where member.key != "filter" && member.key != "value" {
        throw place(member.line).unknown(
          "'\(member.key)' in '\(name)'", known: ["filter", "value"])
      }
      guard let value = item["value"] else {
        throw place(item.line).invalid("an entry of '\(name)' has no 'value'; give it a number")
      }
      let filter = item["filter"]
      if let filter, filter.text == nil {
        throw place(filter.line).invalid(
          "the filter is \(filter.shown); it takes a part of tensor names, such as self_attn")
      }
      let part = filter?.text ?? ""
      entries.append(
        Entry(
          filter: part.isEmpty || part == "*" ? nil : part,
          values: try ParameterSetting.scalarOrGradient(value, name: name, place: place)))
    }
    cutAfterFirstWithoutFilter()
  }

  private static func scalarOrGradient(
    _ node: YAMLNode, name: String, place: RecipeFileName
  ) throws(DFMergeError) -> [Double] {
    func number(_ node: YAMLNode) throws(DFMergeError) -> Double {
      guard let number = node.number else {
        throw place(node.line).invalid(
          "'\(name)' is \(node.shown); it takes a number, a list of numbers over the layers, or a "
            + "list of entries with 'filter' and 'value'")
      }
      return number
    }
    guard let items = node.items else { return [try number(node)] }
    guard !items.isEmpty else {
      throw place(node.line).invalid("'\(name)' is an empty list; give it a number")
    }
    var values: [Double] = []
    for item in items { values.append(try number(item)) }
    return values
  }

  /// Whether some entry fits every tensor.
  var fitsEverything: Bool { entries.contains { $0.filter == nil } }

  /// The number, where it is the same for all tensors.
  var plain: Double? {
    guard let first = entries.first, first.filter == nil,
      let value = first.values.first, first.values.allSatisfy({ $0 == value })
    else { return nil }
    return value
  }

  /// Every number in it.
  var numbers: [Double] { entries.flatMap(\.values) }

  /// This setting, and for tensors that it does not fit, `next`.
  func or(_ next: ParameterSetting?) -> ParameterSetting {
    guard let next, !fitsEverything else { return self }
    var result = self
    result.entries += next.entries
    result.cutAfterFirstWithoutFilter()
    return result
  }

  /// Every number times `factor`; a gradient times a number is the gradient of the products.
  func scaled(by factor: Double) -> ParameterSetting {
    var result = self
    result.entries = entries.map { entry in
      Entry(filter: entry.filter, values: entry.values.map { $0 * factor })
    }
    return result
  }

  /// Entries behind one that fits all are never used.
  private mutating func cutAfterFirstWithoutFilter() {
    if let last = entries.firstIndex(where: { $0.filter == nil }) {
      entries.removeSubrange((last + 1)...)
    }
  }

  /// As our methods' options take it: a number, `{"gradient": [...]}`, or a list of
  /// `{"filter", "value"}`.
  var json: JSONValue {
    func value(_ numbers: [Double]) -> JSONValue {
      if let first = numbers.first, numbers.allSatisfy({ $0 == first }) { return .double(first) }
      return .object(["gradient": .array(numbers.map(JSONValue.double))])
    }
    if entries.count == 1, let only = entries.first, only.filter == nil {
      return value(only.values)
    }
    return .array(
      entries.map { entry in
        var members = ["value": value(entry.values)]
        members["filter"] = entry.filter.map(JSONValue.string)
        return .object(members)
      })
  }
}
