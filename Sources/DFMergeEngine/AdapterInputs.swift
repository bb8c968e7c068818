import DFMergeCore
import DFMergeMethods

/// The peft adapters of a merge, which fit together.
struct AdapterInputs {
  private let sources: [any WeightSource]
  private let first: any WeightSource
  private let configuration: AdapterConfig

  /// Nil where no input is an adapter with a configuration.
  /// - Throws: `.invalidArgument` for adapters beside models, or adapters that differ in what must be
  ///   the same; `.unsupported` for one that is no change of the weights by LoRA factors;
  ///   `.invalidFormat` for tensors that the configuration does not fit.
  init?(
    base: (any WeightSource)?, models: [any WeightSource], info: MethodInfo, settings: MergeSettings
  ) throws(DFMergeError) {
    sources = (base.map { [$0] } ?? []) + models
    guard let first = sources.first(where: { $0.adapter != nil }), let own = first.adapter else {
      return nil
    }
    self.first = first
    configuration = own
    if let other = sources.first(where: { $0.adapter == nil }) {
      throw DFMergeError(
        .invalidArgument,
        "\(first.label) is an adapter and \(other.label) is none. Adapters are merged with each "
          + "other and need no base; to merge one with models, merge it into its base first (peft: "
          + "merge_and_unload, then save_pretrained).", context: ["path": first.label])
    }
    for source in sources {
      if let refusal = source.adapter?.refusal {
        throw DFMergeError(
          .unsupported, "\(source.label) \(refusal).", context: ["path": source.label])
      }
      try AdapterInputs.check(source)
    }
    for source in sources {
      guard let other = source.adapter,
        let key = AdapterInputs.difference(own, other, alsoScaling: !info.foldsScaling)
      else { continue }
      throw AdapterInputs.unequal(first, source, key, info)
    }
    for (name, policy) in [("missing", settings.missing), ("shape", settings.shape)]
    where info.foldsScaling && policy == .base {
      throw DFMergeError(
        .invalidOption,
        "Method '\(info.id)' moves the scaling of adapters into their factors, so none can be copied "
          + "as it is; leave out \(name): base.", context: ["option": name])
    }
  }

  /// What the adapters change, if they change it together with what is no factor.
  /// - Throws: `.unsupported` where adapters save tensors that are no changes.
  func zeroBase(_ info: MethodInfo) throws(DFMergeError) -> ZeroWeights {
    for source in sources {
      guard let whole = source.tensors.first(where: { LoRAFactor($0.name) == nil }) else {
        continue
      }
      throw DFMergeError(
        .unsupported,
        "\(source.label) holds '\(whole.name)', a whole tensor and no change of one, which method "
          + "'\(info.id)' cannot merge without its base; use 'average', 'copa' or one of the methods "
          + "for adapters, which average such tensors.", context: ["tensor": whole.name])
    }
    return try ZeroWeights(like: first)
  }

  // MARK: Checks

  /// Members that must say the same for factors to be of the same module of the same model.
  private static let shared = [
    "fan_in_fan_out", "bias", "target_modules", "exclude_modules", "modules_to_save",
    "layers_to_transform", "layers_pattern", "layer_replication", "trainable_token_indices",
    "ensure_weight_tying",
  ]
  private static let scaling = ["r", "lora_alpha", "rank_pattern", "alpha_pattern"]

  /// The first member in which two configurations differ and must not; nil for none.
  private static func difference(
    _ one: AdapterConfig, _ other: AdapterConfig, alsoScaling: Bool
  ) -> String? {
    if let base = one.baseModel, let second = other.baseModel, base != second {
      return "base_model_name_or_path"
    }
    return (shared + (alsoScaling ? scaling : [])).first {
      !isSame(one.members[$0], other.members[$0])
    }
  }

  /// Whether two members mean the same: lists are sets, 8 is 8.0, and null, false, nothing and
  /// "none" are all of them no.
  private static func isSame(_ one: JSONValue?, _ other: JSONValue?) -> Bool {
    func isNo(_ value: JSONValue?) -> Bool {
      !AdapterConfig.isSet(value) || value == .string("none")
    }
    if isNo(one) || isNo(other) { return isNo(one) && isNo(other) }
    if let one = one?.arrayValue, let other = other?.arrayValue {
      return Set(one) == Set(other)
    }
    if let one = one?.doubleValue, let other = other?.doubleValue { return one == other }
    return one == other
  }

  private static func unequal(
    _ one: any WeightSource, _ other: any WeightSource, _ key: String, _ info: MethodInfo
  ) -> DFMergeError {
    func shown(_ source: any WeightSource) -> String {
      let text = (try? (source.adapter?.members[key] ?? .null).text()) ?? "null"
      return text.utf8.count > 200 ? String(text.prefix(200)) + "..." : text
    }
    let remedy =
      scaling.contains(key)
      ? "method '\(info.id)' takes adapters of one rank and scaling; use 'lora_linear' for other "
        + "scalings, 'lora_cat' or 'lora_svd' for other ranks"
      : "merge adapters of one base that change the same modules; where both mean the same, make the "
        + "configurations equal"
    return DFMergeError(
      .invalidArgument,
      "\(key) is \(shown(one)) in \(one.label) but \(shown(other)) in \(other.label); \(remedy).",
      context: ["option": key])
  }

  /// Whether the tensors of an adapter are what its configuration says.
  private static func check(_ source: any WeightSource) throws(DFMergeError) {
    var count = 0
    for view in source.tensors {
      func failure(_ code: DFMergeError.Code, _ text: String) -> DFMergeError {
        DFMergeError(
          code, "'\(view.name)' of \(source.label) \(text).", context: ["tensor": view.name])
      }
      guard let factor = LoRAFactor(view.name) else {
        guard !LoRAFactor.isPart(view.name) else {
          throw failure(
            .unsupported,
            "is no factor A or B of a LoRA update, but belongs to one; merge the adapter into its "
              + "base (peft: merge_and_unload) and merge the models")
        }
        continue
      }
      count += 1
      guard source.tensor(named: factor.partner) != nil else {
        throw failure(
          .invalidFormat, "comes without '\(factor.partner)'; write or download the adapter again")
      }
      guard let rank = factor.rank(view.shape) else {
        throw failure(.invalidFormat, "is \(view.shape), which is no shape of a LoRA factor")
      }
      if let wanted = source.adapter?.rank(of: factor.module), wanted != rank {
        throw failure(
          .invalidFormat,
          "has the rank \(rank), but adapter_config.json says \(wanted); write or download the "
            + "adapter again")
      }
    }
    guard count > 0 else {
      throw DFMergeError(
        .unsupported, "\(source.label) has no LoRA factors; pass a LoRA adapter.",
        context: ["path": source.label])
    }
  }
}
