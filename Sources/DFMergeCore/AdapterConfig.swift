/// The configuration of a peft adapter, `adapter_config.json`.
///
/// What its numbers and words mean for a merge is for `refusal` to say: a file that is valid JSON
/// can be read, whatever it holds.
public struct AdapterConfig: Sendable {
  /// Every member.
  public let members: [String: JSONValue]
  private let ranks: AdapterPattern
  private let alphas: AdapterPattern

  /// - Throws: `.invalidFormat` for a text that is no JSON object, or holds a key twice.
  package init(parsing text: [UInt8], path: String) throws(DFMergeError) {
    let value: JSONValue
    value = try StrictJSON.decode(
      JSONValue.self, from: text, what: "The adapter's configuration \(path)",
      remedy: "write or download it again", context: ["path": path], code: .invalidFormat)
    guard let members = value.objectValue else {
      throw DFMergeError(
        .invalidFormat,
        "The adapter's configuration \(path) is no JSON object; write or download it again.",
        context: ["path": path])
    }
    self.init(members)
  }

  package init(_ members: [String: JSONValue]) {
    self.members = members
    ranks = AdapterPattern(members["rank_pattern"])
    alphas = AdapterPattern(members["alpha_pattern"])
  }

  /// The rank of modules that ``rankPattern`` does not name; nil for none or one that is no number
  /// of ranks.
  package var rank: Int? { members["r"]?.intValue.flatMap { $0 > 0 ? $0 : nil } }

  /// The numerator of the scaling of modules that `alpha_pattern` does not name.
  package var alpha: Double? {
    members["lora_alpha"]?.doubleValue.flatMap { $0.isFinite ? $0 : nil }
  }

  /// What the base model is called; nil where the configuration leaves it open.
  package var baseModel: String? {
    members["base_model_name_or_path"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
  }

  /// The rank that the configuration gives a module; nil where it cannot be told.
  package func rank(of module: String) -> Int? {
    switch ranks.match(module) {
    case .none: rank
    case .value(let value): value.intValue.flatMap { $0 > 0 ? $0 : nil }
    case .unknown: nil
    }
  }

  /// The numerator of a module's scaling; nil where it cannot be told.
  package func alpha(of module: String) -> Double? {
    switch alphas.match(module) {
    case .none: alpha
    case .value(let value): value.doubleValue.flatMap { $0.isFinite ? $0 : nil }
    case .unknown: nil
    }
  }

  /// Why the adapter cannot be merged, with a remedy; nil where nothing in the configuration speaks
  /// against it.
  package var refusal: String? {
    let type = members["peft_type"]?.stringValue
    guard type == "LORA" else {
      return
        "is an adapter of type \(type.map { "'\($0)'" } ?? "that is not named"), but only LoRA "
        + "adapters (peft_type LORA) can be merged"
    }
    guard rank != nil, alpha != nil else {
      return "has no rank (r) of 1 or more or no lora_alpha that is a number; correct its "
        + "adapter_config.json"
    }
    for (key, reason) in AdapterConfig.refused where AdapterConfig.isSet(members[key]) {
      return "has \(key), \(reason)"
    }
    if let start = members["init_lora_weights"]?.stringValue,
      AdapterConfig.shiftedStarts.contains(where: { start.lowercased().hasPrefix($0) })
    {
      return
        "began as '\(start)', which changes the base's weights, so that its factors are no change "
        + "of the base; save it with peft's path_initial_model_for_weight_conversion"
    }
    return nil
  }

  /// What makes an adapter something else than `base + scaling B A`.
  private static let refused = [
    (
      "use_dora",
      "DoRA, whose magnitudes scale the sum of base and update and have no merge of their own; merge "
        + "it into its base (peft: merge_and_unload) and merge the models"
    ),
    (
      "use_rslora",
      "rsLoRA, whose scaling alpha / sqrt(r) peft applies a second time to combined adapters; set "
        + "use_rslora to false and lora_alpha to lora_alpha * sqrt(r), which is the same adapter"
    ),
    ("use_qalora", "whose factors see pooled inputs; merge the models instead"),
    ("lora_bias", "a bias of its own beside the factors; merge it into its base, and the models"),
    (
      "target_parameters", "factors of parameters of many experts at once; merge the models instead"
    ),
    (
      "alora_invocation_tokens",
      "so that it acts on some tokens only and is no change of the weights"
    ),
    ("use_bdlora", "factors in blocks; merge it into its base, and merge the models"),
    ("arrow_config", "which routes between adapters and has no weights of its own to merge"),
    ("kasa_config", "which changes the base's weights; merge it into its base, and the models"),
    (
      "monteclora_config",
      "with parameters beside the factors; merge it into its base, and the models"
    ),
  ]

  /// Ways to begin that subtract the first factors from the base's weights.
  private static let shiftedStarts = ["pissa", "olora", "corda", "loftq", "lora_ga"]

  /// Whether an optional member says something: it is there, and neither null, false nor empty.
  package static func isSet(_ value: JSONValue?) -> Bool {
    switch value {
    case nil, .some(.null), .some(.bool(false)): false
    case .some(.array(let items)): !items.isEmpty
    case .some(.object(let members)): !members.isEmpty
    case .some(.string(let text)): !text.isEmpty
    default: true
    }
  }
}
