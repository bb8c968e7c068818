import DFMergeCore

/// Turns one configuration of mergekit into a step that gives the same result.
struct MergekitTranslation {
  let configuration: MergekitConfiguration
  let method: MergekitMethod
  let place: RecipeFileName
  /// What goes into the arithmetic: all models, or those beside the base.
  let inputs: [MergekitConfiguration.Model]
  private(set) var notes: [String] = []

  init(_ configuration: MergekitConfiguration, place: RecipeFileName) throws(DFMergeError) {
    self.configuration = configuration
    self.place = place
    let name = configuration.method
    guard let method = MergekitMethod.named(name) else {
      let here = place(configuration.methodLine)
      let known = MergekitMethod.all.map(\.name)
      if MergekitMethod.unsupported.contains(name) {
        throw here.unsupported(
          "mergekit's method '\(name)' is not here; use one of: \(known.joined(separator: ", "))")
      }
      throw here.unknown("merge_method '\(name)'", known: known)
    }
    self.method = method
    // Task vectors are taken from the base, which is no model then; elsewhere it is one of them.
    let isModel = ["linear", "passthrough", "karcher"].contains(name)
    var inputs = configuration.models
    if !isModel { inputs.removeAll { $0.model == configuration.base } }
    if name == "karcher", let base = configuration.base,
      !inputs.contains(where: { $0.model == base })
    {
      inputs.append(MergekitConfiguration.Model(model: base, parameters: MergekitParameters()))
    }
    self.inputs = inputs
    try checkBase(isModel: isModel)
    try checkParameters()
  }

  /// The step; names of earlier steps are put in by the caller.
  func step() throws(DFMergeError) -> MergeStep {
    let translated = try translatedMethod()
    func input(_ model: MergekitModel) -> MergeInput {
      MergeInput(label: model.label, place: .path(model.path, revision: model.revision))
    }
    var step = MergeStep(
      method: translated.method, options: translated.options,
      base: configuration.base.map(input), models: inputs.map { input($0.model) })
    if method.name == "slerp", let base = configuration.base {
      // From the base to the other one, whichever is listed first.
      step.models.insert(input(base), at: 0)
    }
    step.name = configuration.name
    step.layers = configuration.layers
    step.optionPlaces = try optionPlaces(translated.options)
    step.settings["dtype"] = configuration.dtype.map(JSONValue.string)
    if configuration.takesBaseTokenizer { step.settings["shape"] = "common" }
    return step
  }

  /// The parameter that an option of ours is made of, where it has another name.
  private static let parameters = [
    "weights": "weight", "coefficients": "weight", "aggregate": "normalize",
  ]

  /// Where the values of options stand: one line for each model, or one.
  private func optionPlaces(
    _ options: [String: JSONValue]
  ) throws(DFMergeError) -> [String: [String]] {
    var places: [String: [String]] = [:]
    for option in options.keys {
      let name = MergekitTranslation.parameters[option] ?? option
      let settings: [ParameterSetting]
      if method.byModel.contains(where: { $0.name == name }) {
        settings = try byModel(name)
      } else if method.global.contains(where: { $0.name == name }) {
        settings = [try global(name)]
      } else {
        continue
      }
      places[option] = settings.map { place($0.line).text }
    }
    return places
  }

  // MARK: - Looking parameters up

  /// The values of a parameter for each model.
  /// - Throws: `.invalidFormat` where a value must be given and is missing for some tensor.
  func byModel(_ name: String) throws(DFMergeError) -> [ParameterSetting] {
    let parameter = method.byModel.first { $0.name == name }
    return try inputs.map { (entry) throws(DFMergeError) in
      try completed(
        entry.parameters[name], name, fallback: parameter?.fallback, line: entry.model.line,
        for: " for \(entry.model.label)")
    }
  }

  /// The value of a parameter of the whole merge.
  func global(_ name: String) throws(DFMergeError) -> ParameterSetting {
    let parameter = method.global.first { $0.name == name }
    return try completed(
      nil, name, fallback: parameter?.fallback, line: configuration.methodLine, for: "")
  }

  private func completed(
    _ own: ParameterSetting?, _ name: String, fallback: Double?, line: Int, for whom: String
  ) throws(DFMergeError) -> ParameterSetting {
    var found = own
    for level in [configuration.slice[name], configuration.parameters[name]] {
      found = found?.or(level) ?? level
    }
    let rest = fallback.map { ParameterSetting($0, line: line) }
    guard let setting = found?.or(rest) ?? rest else {
      throw place(line).invalid(
        "'\(name)'\(whom) is missing, which '\(method.name)' needs; give it under 'parameters'")
    }
    guard setting.fitsEverything else {
      throw place(setting.line).invalid(
        "'\(name)'\(whom) has no value for tensors that no filter fits; end the list with an entry "
          + "without 'filter'")
    }
    return setting
  }

  // MARK: - Checks

  private static let goesWithoutBase = [
    "linear", "passthrough", "nuslerp", "multislerp", "karcher",
  ]

  private func checkBase(isModel: Bool) throws(DFMergeError) {
    guard let base = configuration.base else {
      guard !MergekitTranslation.goesWithoutBase.contains(method.name) else { return }
      throw place(configuration.methodLine).invalid(
        "'\(method.name)' needs a 'base_model'; name one")
    }
    if isModel, method.name != "karcher",
      !configuration.models.contains(where: { $0.model == base })
    {
      throw place(base.line).invalid(
        "'\(method.name)' has no base model; list \(base.label) among the models, or take "
          + "'base_model' out")
    }
    guard !inputs.isEmpty else {
      throw place(configuration.line).invalid(
        "there is no model beside the base; list one or more")
    }
  }

  private mutating func checkParameters() throws(DFMergeError) {
    let byModel = method.byModel.map(\.name)
    let global = method.global.map(\.name)
    for entry in configuration.models {
      let isInput = inputs.contains { $0.model == entry.model }
      for name in entry.parameters.names {
        try check(name, entry.parameters, known: isInput ? byModel : [])
      }
    }
    for parameters in [configuration.slice, configuration.parameters] {
      for name in parameters.names { try check(name, parameters, known: byModel + global) }
    }
  }

  private mutating func check(
    _ name: String, _ parameters: MergekitParameters, known: [String]
  ) throws(DFMergeError) {
    guard let setting = parameters[name], !known.contains(name) else { return }
    let here = place(setting.line)
    guard MergekitMethod.knownParameters.contains(name) else {
      throw here.unknown(
        "parameter '\(name)'", known: (method.byModel + method.global).map(\.name))
    }
    notes.append(
      "\(here.text): '\(name)' has no effect here in method '\(method.name)', in mergekit neither.")
  }
}
