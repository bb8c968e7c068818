import DFMergeCore
import DFMergeMethods

/// The numeric options of a merging method as what a search looks for, in place of DF-Merge's
/// coefficients.
///
/// A parameter is an option, `"density"`, or one model's part of an option by model, `"weights[a]"`.
/// With groups of tensors each has one value per group.
struct SearchedMethod: Sendable {
  /// One number that is looked for.
  struct Parameter: Sendable {
    /// As results and candidates call it.
    let name: String
    let option: String
    /// Nil for an option with one number for all.
    let model: String?
    let range: ClosedRange<Double>
    /// Whether only whole numbers are merged with: the nearest.
    let isWhole: Bool
    /// The number without a search; nil where the method has none.
    let usual: Double?
  }

  let id: String
  let title: String
  let parameters: [Parameter]
  private let fixed: [String: JSONValue]
  private let models: [String]

  /// Reads the options `method`, `space` and `method_options`; nil for DF-Merge itself
  /// and for a greedy soup.
  /// - Throws: `.invalidOption` for a method that needs Fisher values, a space of another form or
  ///   beyond what an option takes, no space, an option that is both fixed and searched;
  ///   `.unknownName`; `.invalidArgument` for a number of models that the method does not merge.
  init?(_ options: SearchOptions, models: [String]) throws(DFMergeError) {
    guard options.method != SearchOptions.ownMethod, options.strategy == .bayesian else {
      return nil
    }
    id = options.method
    self.models = models
    fixed = options.methodOptions.objectValue ?? [:]
    let method = try MethodRegistry.resolve(id, options: .object(fixed), models: models)
    title = method.info.title
    guard !method.info.needsFisher else {
      throw SearchedMethod.refusal(
        "method",
        "is '\(id)', whose Fisher values a search does not measure; df_merge is the method that "
          + "has them measured")
    }
    guard method.info.modelData == .none, !method.info.isForAdapters, !method.info.gathersTensors
    else {
      throw SearchedMethod.refusal(
        "method",
        "is '\(id)', which makes tensors of other ones or of whole ones, its inputs' or Gram "
          + "matrices; merge each candidate and let an optimizer suggest the next")
    }
    var found: [Parameter] = []
    for (name, given) in (options.space.objectValue ?? [:]).sorted(by: { $0.key < $1.key }) {
      guard let schema = method.info.options.first(where: { $0.name == name }) else {
        let known = method.info.options.filter { $0.kind.isSearchable }.map(\.name)
        throw DFMergeError(
          .unknownName,
          "Option 'space' of the search names '\(name)', which method '\(id)' does not have; its "
            + "numeric options are: \(known.joined(separator: ", ")).", context: ["option": "space"]
        )
      }
      guard schema.kind.isSearchable else {
        throw SearchedMethod.refusal(
          "space", "names '\(name)', which takes no number; fix it in method_options")
      }
      guard fixed[name] == nil else {
        throw SearchedMethod.refusal(
          "space", "names '\(name)', which method_options fixes; leave it out of one of them")
      }
      found += try SearchedMethod.parameters(schema, given, models: models)
    }
    guard !found.isEmpty else {
      throw SearchedMethod.refusal(
        "space",
        "is empty; name what method '\(id)' is to be tuned by, such as {\"density\": [0.1, 0.9]}")
    }
    parameters = found
    // The ends are the values that the method is most likely to refuse.
    for end in [\ClosedRange<Double>.lowerBound, \.upperBound] {
      _ = try MethodRegistry.resolve(
        id, options: json(found.map { $0.range[keyPath: end] }), models: models)
    }
  }

  /// The values without a search; nil where an option has none or the ranges leave it out.
  var usual: [Double]? {
    let values = parameters.compactMap { parameter in
      parameter.usual.flatMap { parameter.range.contains($0) ? $0 : nil }
    }
    return values.count == parameters.count ? values : nil
  }

  /// The method's options with one value per parameter.
  func json(_ values: [Double]) -> JSONValue {
    var members = fixed
    for (parameter, value) in zip(parameters, values) {
      let number = parameter.isWhole ? JSONValue.int(Int64(value.rounded())) : .double(value)
      guard let model = parameter.model else {
        members[parameter.option] = number
        continue
      }
      var own = members[parameter.option]?.objectValue ?? [:]
      own[model] = number
      members[parameter.option] = .object(own)
    }
    return .object(members)
  }

  /// The method for a candidate.
  /// - Parameters:
  ///   - table: one value per parameter, for each group.
  ///   - groups: the group of each tensor.
  func methods(_ table: [[Double]], groups: [Int]) throws(DFMergeError) -> MethodSet {
    var instances: [any MergeMethod] = []
    for values in table {
      let method = try MethodRegistry.resolve(id, options: json(values), models: models)
      instances.append(try method.methods(for: []).instances[0])
    }
    return MethodSet(instances, places: groups)
  }

  /// Forms: `[low, high]`, one number for all models; an object of such pairs by model, or
  /// `{"*": [low, high]}`, one number per model.
  private static func parameters(
    _ option: OptionSchema, _ given: JSONValue, models: [String]
  ) throws(DFMergeError) -> [Parameter] {
    func range(_ value: JSONValue, _ name: String) throws(DFMergeError) -> ClosedRange<Double> {
      guard let ends = value.arrayValue, ends.count == 2, let low = ends[0].doubleValue,
        let high = ends[1].doubleValue, low.isFinite, high.isFinite, low < high
      else {
        throw refusal("space", "gives '\(name)' no pair [low, high] with low < high")
      }
      return low...high
    }
    var isWhole = false
    if case .integer = option.kind { isWhole = true }
    guard let members = given.objectValue else {
      return [
        Parameter(
          name: option.name, option: option.name, model: nil, range: try range(given, option.name),
          isWhole: isWhole, usual: option.defaultValue.doubleValue)
      ]
    }
    guard case .numberPerModel = option.kind else {
      throw refusal(
        "space", "gives '\(option.name)' by model, which takes one number; give a pair [low, high]")
    }
    let isEach = Set(members.keys) == ["*"]
    guard isEach || Set(members.keys) == Set(models) else {
      throw refusal(
        "space",
        "gives '\(option.name)' for [\(members.keys.sorted().joined(separator: ", "))]; give a pair "
          + "for each of the models \(models.joined(separator: ", ")), or for \"*\"")
    }
    var found: [Parameter] = []
    for model in models {
      found.append(
        Parameter(
          name: "\(option.name)[\(model)]", option: option.name, model: model,
          range: try range(members[isEach ? "*" : model] ?? .null, "\(option.name)[\(model)]"),
          isWhole: false, usual: option.defaultValue.doubleValue))
    }
    return found
  }

  private static func refusal(_ option: String, _ message: String) -> DFMergeError {
    DFMergeError(
      .invalidOption, "Option '\(option)' of the search \(message).", context: ["option": option])
  }
}

extension OptionSchema.Kind {
  /// Whether a search can look for a value.
  fileprivate var isSearchable: Bool {
    if case .integer = self { return true }
    return isNumeric
  }
}
