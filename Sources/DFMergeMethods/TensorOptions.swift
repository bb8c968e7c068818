import DFMergeCore

/// The options of a method, tensor by tensor: every number, flag and word may be an
/// ``OptionSetting``, and so may every model's part of a value by model.
///
/// A value by model is one setting for all models, a list of settings in the models' order, or an
/// object of settings by model name. A list whose items all have a `"value"` is a list of filters.
package struct TensorOptions: Sendable {
  private enum Entry: Sendable {
    case all(OptionSetting)
    case list([OptionSetting])
    case byModel([String: OptionSetting])

    var settings: [OptionSetting] {
      switch self {
      case .all(let setting): [setting]
      case .list(let items): items
      case .byModel(let members): Array(members.values)
      }
    }
  }

  private let type: any MergeMethod.Type
  private let models: [String]
  private let given: [String: JSONValue]
  /// The options that vary.
  private let entries: [String: Entry]
  /// The instance for all tensors; nil where options vary.
  private let uniform: (any MergeMethod)?

  /// Checks every value that a tensor may get.
  /// - Throws: `.unknownName`, `.invalidOption`, and what the method refuses where nothing varies.
  package init(
    _ options: JSONValue, of type: any MergeMethod.Type, models: [String]
  ) throws(DFMergeError) {
    self.type = type
    self.models = models
    let owner = "method '\(type.info.id)'"
    given = options.objectValue ?? [:]
    var entries: [String: Entry] = [:]
    for option in type.info.options where option.varies {
      guard let value = given[option.name] else { continue }
      let name = "Option '\(option.name)' of \(owner)"
      guard let entry = try TensorOptions.entry(value, option, name),
        entry.settings.contains(where: \.varies)
      else { continue }
      if entry.settings.contains(where: \.hasGradient), !option.kind.isNumeric {
        throw OptionSetting.refusal(name, "a gradient, which only numbers can have")
      }
      entries[option.name] = entry
      for (number, setting) in entry.settings.enumerated() {
        do throws(DFMergeError) {
          for leaf in setting.leaves {
            _ = try OptionValues(
              .object([option.name: leaf]), schema: [option], owner: owner, models: models)
          }
        } catch {
          guard case .list = entry else { throw error }
          throw DFMergeError(
            error.code, error.message,
            context: error.context.merging(["model": String(number)]) { own, _ in own })
        }
      }
      // As many models as there are, by their names: checked with the values of no tensor at all.
      _ = try OptionValues(
        .object([option.name: try TensorOptions.resolve(entry, option, "", 0)]), schema: [option],
        owner: owner, models: models)
    }
    self.entries = entries
    if entries.isEmpty {
      uniform = try type.init(
        options: try TensorOptions.checked(options, of: type.info, models),
        modelCount: models.count)
    } else {
      uniform = nil
      // The others, and names that are no option.
      var rest = given
      for name in entries.keys { rest[name] = nil }
      _ = try TensorOptions.checked(.object(rest), of: type.info, models)
    }
  }

  /// Values that are the same for all tensors.
  /// - Throws: as `OptionValues`; of a list of numbers, which is mergekit's way to say what changes over
  ///   the layers, how that is said here.
  private static func checked(
    _ options: JSONValue, of info: MethodInfo, _ models: [String]
  ) throws(DFMergeError) -> OptionValues {
    do throws(DFMergeError) {
      return try OptionValues(
        options, schema: info.options, owner: "method '\(info.id)'", models: models)
    } catch {
      guard let option = info.options.first(where: { $0.name == error.context["option"] }),
        option.varies, option.kind.isNumeric, let items = options[option.name]?.arrayValue,
        items.count > 1, items.allSatisfy({ $0.doubleValue != nil })
      else { throw error }
      if case .numberPerModel = option.kind, items.count == models.count { throw error }
      throw DFMergeError(
        error.code,
        error.message
          + " Numbers over the layers are {\"gradient\": \(JSONValue.array(items).shown)}, "
          + "numbers by tensor a list of {\"filter\": ..., \"value\": ...}.", context: error.context
      )
    }
  }

  /// What the method is.
  package var info: MethodInfo { type.info }

  /// Every option as it was given, or its default.
  package var values: [String: JSONValue] {
    var values = given
    for option in type.info.options where given[option.name] == nil {
      values[option.name] = option.defaultValue
    }
    return values
  }

  /// What the method reads and writes beside the merged tensors.
  /// - Throws: what the method refuses of these models.
  package func sideTensors(of sources: [any WeightSource]) throws(DFMergeError) -> SideTensors {
    var rest = given
    for name in entries.keys { rest[name] = nil }
    let values = try OptionValues(
      .object(rest), schema: type.info.options, owner: "method '\(type.info.id)'", models: models)
    return try type.sideTensors(values, models: sources)
  }

  /// The method for tensors of these names, in this order.
  /// - Throws: what the method refuses, naming the first tensor with these options.
  package func methods(for tensors: [String]) throws(DFMergeError) -> MethodSet {
    if let uniform { return MethodSet(uniform) }
    let places = TensorOptions.places(of: tensors)
    var instances: [any MergeMethod] = []
    var found: [String: Int] = [:]
    var indices: [Int] = []
    for (name, place) in zip(tensors, places) {
      let options = try options(tensor: name, place: place)
      let key = try options.text()
      if let index = found[key] {
        indices.append(index)
        continue
      }
      do throws(DFMergeError) {
        let values = try OptionValues(
          options, schema: type.info.options, owner: "method '\(type.info.id)'", models: models)
        instances.append(try type.init(options: values, modelCount: models.count))
      } catch {
        throw DFMergeError(
          error.code, "For tensor '\(name)': \(error.message)",
          context: error.context.merging(["tensor": name]) { own, _ in own })
      }
      found[key] = instances.count - 1
      indices.append(instances.count - 1)
    }
    guard instances.isEmpty else { return MethodSet(instances, places: indices) }
    // Nothing is merged; what would be is the same for no tensor.
    let values = try OptionValues(
      try options(tensor: "", place: 0), schema: type.info.options,
      owner: "method '\(type.info.id)'", models: models)
    return MethodSet(try type.init(options: values, modelCount: models.count))
  }

  private func options(tensor name: String, place: Double) throws(DFMergeError) -> JSONValue {
    var resolved = given
    for option in type.info.options {
      guard let entry = entries[option.name] else { continue }
      resolved[option.name] = try TensorOptions.resolve(entry, option, name, place)
    }
    return .object(resolved)
  }

  private static func resolve(
    _ entry: Entry, _ option: OptionSchema, _ name: String, _ place: Double
  ) throws(DFMergeError) -> JSONValue {
    func value(_ setting: OptionSetting) -> JSONValue {
      setting.value(tensor: name, place: place) ?? option.defaultValue
    }
    return switch entry {
    case .all(let setting): value(setting)
    case .list(let items): .array(items.map(value))
    case .byModel(let members): .object(members.mapValues(value))
    }
  }

  /// Nil for an option of a kind that does not vary.
  private static func entry(
    _ value: JSONValue, _ option: OptionSchema, _ name: String
  ) throws(DFMergeError) -> Entry? {
    switch option.kind {
    case .number, .integer, .flag, .choice, .flagOrChoice, .numberOrChoice:
      return .all(try OptionSetting(value, owner: name))
    case .numberPerModel:
      if let items = value.arrayValue, !OptionSetting.isFilters(value) {
        var list: [OptionSetting] = []
        for item in items { list.append(try OptionSetting(item, owner: name)) }
        return .list(list)
      }
      if let members = value.objectValue, Set(members.keys) != ["gradient"] {
        var byModel: [String: OptionSetting] = [:]
        for (model, item) in members { byModel[model] = try OptionSetting(item, owner: name) }
        return .byModel(byModel)
      }
      return .all(try OptionSetting(value, owner: name))
    default: return nil
    }
  }

  /// How far through the layers of its stack each tensor is.
  private static func places(of tensors: [String]) -> [Double] {
    let layers = tensors.map { TensorName.layer(of: $0) }
    var last: [String: Int] = [:]
    for layer in layers.compactMap({ $0 }) {
      last[layer.stack] = max(last[layer.stack] ?? 0, layer.number)
    }
    return layers.map { layer in
      guard let layer, let last = last[layer.stack] else { return 0 }
      return last == 0 ? 1 : Double(layer.number) / Double(last)
    }
  }
}
