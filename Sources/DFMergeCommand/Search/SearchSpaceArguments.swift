import ArgumentParser
import DFMergeCore
import DFMergeMethods

/// `LOW,HIGH` of a command line.
struct Interval: ExpressibleByArgument {
  let low: Double
  let high: Double

  init?(argument: String) {
    let ends = argument.split(separator: ",", omittingEmptySubsequences: false)
      .map { Double($0.drop { $0 == " " }) }
    guard ends.count == 2, let low = ends[0], let high = ends[1], low.isFinite, high.isFinite,
      low < high
    else { return nil }
    self.low = low
    self.high = high
  }
}

/// `OPTION=LOW,HIGH`, `OPTION.MODEL=LOW,HIGH` or `OPTION.*=LOW,HIGH` of a command line.
struct SpaceArgument: ExpressibleByArgument {
  let option: String
  /// The name behind the point; nil without one.
  let model: String?
  let interval: Interval

  init?(argument: String) {
    guard let equals = argument.lastIndex(of: "="),
      let interval = Interval(argument: String(argument[argument.index(after: equals)...]))
    else { return nil }
    let name = argument[..<equals]
    if let point = name.firstIndex(of: ".") {
      option = String(name[..<point])
      model = String(name[name.index(after: point)...])
    } else {
      option = String(name)
      model = nil
    }
    guard !option.isEmpty, model != "" else { return nil }
    self.interval = interval
  }
}

/// A number that is searched: an option of the method, for all models or for one.
struct SearchedOption {
  /// As trials and journals call it.
  let name: String
  let option: String
  /// The model's place; nil for a number that is no model's.
  let model: Int?
  let interval: Interval

  /// For a study's options.
  var json: JSONValue {
    ["name": .string(name), "low": .double(interval.low), "high": .double(interval.high)]
  }
}

/// The space of a search over a method's options.
struct OptionSpace {
  let parameters: [SearchedOption]
  /// Whether all of them are coefficients of task vectors, of which something is known beforehand.
  let isOfCoefficients: Bool
  private let schema: [OptionSchema]
  private let fixed: [String: JSONValue]
  private let models: [String]

  /// - Parameters:
  ///   - coefficients: intervals for the method's value by model: one for all models, or one for
  ///     each.
  ///   - space: further options.
  ///   - fixed: the options that are given; of those that are searched, where the search begins.
  /// - Throws: `.unknownName`, `.invalidOption`.
  init(
    method: MethodInfo, coefficients: [Interval], space: [SpaceArgument],
    fixed: [String: JSONValue], models: [String]
  ) throws(DFMergeError) {
    schema = method.options
    self.fixed = fixed
    self.models = models
    var found: [SearchedOption] = []
    let coefficient = method.options.first {
      $0.isPerModel && ["coefficients", "weights"].contains($0.name)
    }
    if !coefficients.isEmpty {
      guard let coefficient else {
        throw DFMergeError(
          .invalidOption,
          "Method '\(method.id)' has no coefficient by model; use --space with one of its options: "
            + OptionSpace.searchable(method) + ".")
      }
      guard coefficients.count == 1 || coefficients.count == models.count else {
        throw DFMergeError(
          .invalidOption,
          "--coefficient is given \(coefficients.count) times for \(models.count) models; give it once "
            + "for all, or once for each in their order.")
      }
      for (index, model) in models.enumerated() {
        found.append(
          SearchedOption(
            name: "\(coefficient.name).\(model)", option: coefficient.name, model: index,
            interval: coefficients[coefficients.count == 1 ? 0 : index]))
      }
    }
    for item in space {
      found += try OptionSpace.searched(item, method: method, models: models)
    }
    for (index, parameter) in found.enumerated()
    where found[..<index].contains(where: { $0.clashes(with: parameter) }) {
      throw DFMergeError(
        .invalidOption,
        "'\(parameter.name)' is searched twice; give --coefficient or --space for it once.")
    }
    guard !found.isEmpty else {
      throw DFMergeError(
        .invalidOption,
        "Nothing is searched: give --coefficient low,high"
          + (coefficient == nil ? "" : " (for \(coefficient?.name ?? ""))")
          + ", or --space option=low,high with one of: \(OptionSpace.searchable(method)).")
    }
    parameters = found
    isOfCoefficients = found.allSatisfy { $0.option == "coefficients" && $0.model != nil }
  }

  /// Where a search begins: the options without it, those given or the defaults, as a point.
  ///
  /// Nil where one is no number or outside its interval, and for coefficients that are not given:
  /// the optimiser knows of better points.
  var usualValues: [Double]? {
    if isOfCoefficients, fixed["coefficients"] == nil { return nil }
    var values: [Double] = []
    for parameter in parameters {
      let given = fixed[parameter.option]
      let value =
        parameter.model.map { valuesByModel(given, of: parameter.option)[$0] }
        ?? schema.first { $0.name == parameter.option }?.defaultValue
      guard let number = value?.doubleValue,
        (parameter.interval.low...parameter.interval.high).contains(number)
      else { return nil }
      values.append(number)
    }
    return values
  }

  /// The method's options at a point.
  func options(at values: [Double]) -> [String: JSONValue] {
    var options = fixed
    for (parameter, value) in zip(parameters, values) {
      guard let model = parameter.model else {
        options[parameter.option] = .double(value)
        continue
      }
      var list = valuesByModel(options[parameter.option], of: parameter.option)
      if list.indices.contains(model) { list[model] = .double(value) }
      options[parameter.option] = .array(list)
    }
    return options
  }

  /// An option by model, written as a list; what a model has no value for is the default.
  private func valuesByModel(_ value: JSONValue?, of option: String) -> [JSONValue] {
    let fallback = schema.first { $0.name == option }?.defaultValue ?? .null
    switch value {
    case nil: return models.map { _ in fallback }
    case .array(let items)
    where items.count == models.count && !items.allSatisfy({ $0["value"] != nil }):
      return items
    case .object(let members) where members["gradient"] == nil:
      return models.map { members[$0] ?? fallback }
    case .some(let value): return models.map { _ in value }
    }
  }

  private static func searched(
    _ item: SpaceArgument, method: MethodInfo, models: [String]
  ) throws(DFMergeError) -> [SearchedOption] {
    guard let option = method.options.first(where: { $0.name == item.option }),
      let limits = option.searchLimits
    else {
      throw DFMergeError(
        .unknownName,
        "Method '\(method.id)' has no number called '\(item.option)' to search; it has: "
          + searchable(method) + ".", context: ["option": item.option])
    }
    guard limits.contains(item.interval.low), limits.contains(item.interval.high) else {
      throw DFMergeError(
        .invalidOption,
        "Option '\(item.option)' of method '\(method.id)' is searched from \(item.interval.low) to "
          + "\(item.interval.high); it takes \(limits.lowerBound) to \(limits.upperBound).",
        context: ["option": item.option])
    }
    guard let model = item.model else {
      return [
        SearchedOption(name: option.name, option: option.name, model: nil, interval: item.interval)
      ]
    }
    guard option.isPerModel else {
      throw DFMergeError(
        .invalidOption,
        "Option '\(item.option)' of method '\(method.id)' has one value for all models; search it as "
          + "--space \(item.option)=low,high.", context: ["option": item.option])
    }
    let chosen = models.indices.filter { model == "*" || models[$0] == model }
    guard !chosen.isEmpty else {
      throw DFMergeError(
        .unknownName,
        "There is no model '\(model)' to search '\(item.option)' of; there are: "
          + models.joined(separator: ", ") + ".")
    }
    return chosen.map { index in
      SearchedOption(
        name: "\(option.name).\(models[index])", option: option.name, model: index,
        interval: item.interval)
    }
  }

  private static func searchable(_ method: MethodInfo) -> String {
    let names = method.options.filter { $0.searchLimits != nil }.map(\.name)
    return names.isEmpty ? "none" : names.joined(separator: ", ")
  }
}

extension SearchedOption {
  /// Whether both say what one number of the merge is.
  fileprivate func clashes(with other: SearchedOption) -> Bool {
    option == other.option && (model == nil || other.model == nil || model == other.model)
  }
}

extension OptionSchema {
  /// Whether every model has a number of its own.
  fileprivate var isPerModel: Bool { if case .numberPerModel = kind { true } else { false } }

  /// The numbers that it takes; nil for options that are no real numbers.
  fileprivate var searchLimits: ClosedRange<Double>? {
    switch kind {
    case .number(let limits), .numberPerModel(let limits), .numberOrChoice(let limits, _): limits
    default: nil
    }
  }
}
