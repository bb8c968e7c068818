import DFMergeCore

/// What each method of mergekit is here.
extension MergekitTranslation {
  typealias Translated = (method: String, options: [String: JSONValue])

  func translatedMethod() throws(DFMergeError) -> Translated {
    switch method.name {
    case "linear":
      return (
        "average", ["weights": try list("weight"), "normalize": try flag(global("normalize"))]
      )
    case "passthrough":
      try expectModels(1...1)
      return ("passthrough", ["scale": try byModel("scale").first?.json ?? 1])
    case "slerp":
      try expectModels(1...1, "'slerp' merges the base with one other model")
      return ("slerp", ["t": try global("t").json])
    case "nuslerp":
      try expectModels(2...2)
      return ("nuslerp", ["weights": try list("weight"), "scope": try angleScope()])
    case "multislerp":
      return (
        "multislerp",
        [
          "weights": try list("weight"), "normalize": try flag(global("normalize_weights")),
          "eps": try global("eps").json,
        ]
      )
    case "model_stock":
      try expectModels(2...Int.max)
      let scope = try word(global("filter_wise"), "filter_wise", yes: "row", no: "tensor")
      // As mergekit has it: nothing is limited, and small changes seem less alike.
      return ("model_stock", ["scope": scope, "clamp": false, "norm_floor": 1e-6])
    case "karcher":
      return ("karcher", ["max_iter": try global("max_iter").json, "tol": try global("tol").json])
    case "sce":
      return ("sce", ["select_topk": try global("select_topk").json, "variant": "mergekit"])
    case "task_arithmetic":
      return ("task_arithmetic", ["coefficients": try coefficients()])
    case "dare_linear":
      var options = ["coefficients": try coefficients(), "density": try list("density")]
      options["rescale"] = try rescale()
      return ("dare", options)
    case "breadcrumbs":
      try refuseRescale()
      return (
        "breadcrumbs",
        [
          "coefficients": try coefficients(), "density": try list("density"),
          "gamma": try list("gamma"), "scope": "tensor", "variant": "mergekit",
        ]
      )
    case "della_linear":
      var options = ["coefficients": try coefficients(), "density": try list("density")]
      options["epsilon"] = try list("epsilon")
      options["rescale"] = try rescale()
      return ("della_linear", options)
    default: return try electing()
    }
  }

  /// Those that elect a sign: `ties`, `dare_ties`, `breadcrumbs_ties`, `della`.
  private func electing() throws(DFMergeError) -> Translated {
    var options: [String: JSONValue] = [
      "weights": try electedWeights(), "density": try list("density"),
      "lambda": try global("lambda").json, "zero_sign": "positive",
      "aggregate": try word(global("normalize"), "normalize", yes: "mean", no: "sum"),
    ]
    switch method.name {
    case "ties":
      try refuseRescale()
      options["scope"] = "tensor"
      options["trim"] = "exact"
    case "breadcrumbs_ties":
      try refuseRescale()
      options["scope"] = "tensor"
      options["gamma"] = try list("gamma")
      options["variant"] = "mergekit"
    case "della":
      options["epsilon"] = try list("epsilon")
      options["rescale"] = try rescale()
    default: options["rescale"] = try rescale()
    }
    return (method.name, options)
  }

  // MARK: - Values

  private func list(_ name: String) throws(DFMergeError) -> JSONValue {
    .array(try byModel(name).map(\.json))
  }

  /// Weights that are votes as well.
  private func electedWeights() throws(DFMergeError) -> JSONValue {
    let weights = try byModel("weight")
    for setting in weights where setting.numbers.contains(where: { $0 < 0 }) {
      throw place(setting.line).unsupported(
        "'weight' is negative, and in '\(method.name)' it is a vote as well; give 0 or more")
    }
    return .array(weights.map(\.json))
  }

  /// Weight times lambda of each task vector, over the sum of the weights with `normalize`.
  private func coefficients() throws(DFMergeError) -> JSONValue {
    var weights = try byModel("weight")
    let normalize = try global("normalize")
    if normalize.plain != 0 {
      let plain = weights.compactMap(\.plain)
      guard normalize.plain != nil, plain.count == weights.count else {
        throw place(normalize.line).unsupported(
          "'normalize' of '\(method.name)' is only supported with weights that are the same for "
            + "every tensor; divide the weights yourself and set it to false")
      }
      let sum = plain.reduce(0, +)
      // As mergekit has it: a sum of nothing divides by one.
      if sum.magnitude >= 1e-8 { weights = weights.map { $0.scaled(by: 1 / sum) } }
    }
    let lambda = try global("lambda")
    var scaled: [JSONValue] = []
    for weight in weights {
      if let factor = lambda.plain {
        scaled.append(weight.scaled(by: factor).json)
      } else if let factor = weight.plain {
        scaled.append(lambda.scaled(by: factor).json)
      } else {
        throw place(lambda.line).unsupported(
          "'lambda' and 'weight' both depend on the tensor, which is not supported together; multiply "
            + "the weights yourself and take 'lambda' out")
      }
    }
    return .array(scaled)
  }

  /// mergekit keeps the sum of a tensor's magnitudes, where others divide by the density. Nil where
  /// nothing is dropped, and so nothing scaled.
  private func rescale() throws(DFMergeError) -> JSONValue? {
    let densities = try byModel("density").flatMap(\.numbers)
    if densities.allSatisfy({ $0 >= 1 }) { return nil }
    return try choice(global("rescale"), "rescale", yes: "l1", no: false)
  }

  /// Between what `nuslerp` takes angles; without `nuslerp_flatten`, its "row-wise" goes down columns.
  private func angleScope() throws(DFMergeError) -> JSONValue {
    let rows = try global("nuslerp_row_wise")
    let flatten = try global("nuslerp_flatten")
    if let isFlat = flatten.plain, isFlat != 0 { return "tensor" }
    if flatten.plain != nil {
      return try word(rows, "nuslerp_row_wise", yes: "column", no: "row")
    }
    guard let isColumn = rows.plain else {
      throw place(flatten.line).unsupported(
        "'nuslerp_flatten' and 'nuslerp_row_wise' both depend on the tensor, which is not supported "
          + "together; give one of them as true or false")
    }
    return try word(flatten, "nuslerp_flatten", yes: "tensor", no: isColumn == 0 ? "row" : "column")
  }

  private func refuseRescale() throws(DFMergeError) {
    let rescale = try global("rescale")
    guard rescale.plain == 0 else {
      throw place(rescale.line).unsupported(
        "'rescale' of '\(method.name)' is not supported; take it out, or set it to false")
    }
  }

  private func flag(_ setting: ParameterSetting) throws(DFMergeError) -> JSONValue {
    try choice(setting, "normalize", yes: true, no: false)
  }

  private func word(
    _ setting: ParameterSetting, _ name: String, yes: String, no: String
  ) throws(DFMergeError) -> JSONValue {
    try choice(setting, name, yes: .string(yes), no: .string(no))
  }

  /// What is true or false, by filters where the file has it so.
  private func choice(
    _ setting: ParameterSetting, _ name: String, yes: JSONValue, no: JSONValue
  ) throws(DFMergeError) -> JSONValue {
    guard setting.entries.allSatisfy({ $0.values.count == 1 }) else {
      throw place(setting.line).invalid("'\(name)' is a list of numbers; it takes true or false")
    }
    func value(_ entry: ParameterSetting.Entry) -> JSONValue { entry.values == [0] ? no : yes }
    if setting.plain != nil, let first = setting.entries.first { return value(first) }
    return .array(
      setting.entries.map { entry in
        var members = ["value": value(entry)]
        members["filter"] = entry.filter.map(JSONValue.string)
        return .object(members)
      })
  }

  private func expectModels(
    _ counts: ClosedRange<Int>, _ rule: String? = nil
  ) throws(DFMergeError) {
    guard !counts.contains(inputs.count) else { return }
    let beside = configuration.base == nil ? "" : " beside the base"
    let takes =
      rule
      ?? "'\(method.name)' takes "
      + (counts.upperBound == Int.max
        ? "\(counts.lowerBound) models or more"
        : "\(counts.lowerBound) model\(counts.lowerBound == 1 ? "" : "s")") + beside
    throw place(configuration.models.first?.model.line ?? configuration.line).invalid(
      "there are \(inputs.count) models\(beside); \(takes)")
  }
}
