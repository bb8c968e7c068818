import DFMergeCore

/// One document of a mergekit file, checked against mergekit's schema as far as it is supported.
///
/// Source:  the schema of mergekit 0.1.4 (commit a6e4028), `models:` form, raw form (the same with
/// files as models), and `slices:` of one slice that is the whole model.
/// Deviations:  keys that mergekit's schema lacks are refused, not passed over.
struct MergekitConfiguration: Sendable {
  struct Model: Sendable {
    let model: MergekitModel
    let parameters: MergekitParameters
  }

  let name: String?
  let method: String
  /// Where the method is named.
  let methodLine: Int
  let base: MergekitModel?
  /// As they are listed, the base among them where it is.
  let models: [Model]
  /// Of the slice; looked up after the model's own.
  let slice: MergekitParameters
  let parameters: MergekitParameters
  let layers: MergeStep.LayerClaim?
  /// The type to store, named as in a merge's settings; nil for that of the base.
  let dtype: String?
  let takesBaseTokenizer: Bool
  let line: Int

  static let keys = [
    "merge_method", "base_model", "models", "slices", "parameters", "dtype", "out_dtype",
    "tokenizer_source", "tokenizer", "name",
  ]

  init(_ document: YAMLNode, place: RecipeFileName) throws(DFMergeError) {
    line = document.line
    guard let members = document.members else {
      throw place(line).invalid(
        "the document is \(document.shown); a configuration has keys: 'merge_method', 'models', ..."
      )
    }
    for member in members where !member.value.isNull {
      try MergekitConfiguration.check(member, place)
    }
    if let name = document["name"] {
      guard let text = name.text else {
        throw place(name.line).invalid("'name' is \(name.shown); it takes a word")
      }
      self.name = text
    } else {
      name = nil
    }
    guard let methodNode = document["merge_method"], let method = methodNode.text else {
      throw place(line).invalid("there is no 'merge_method'; name one, such as ties")
    }
    self.method = method
    methodLine = methodNode.line
    var base = try document["base_model"].map { (node) throws(DFMergeError) in
      try MergekitModel(node, place: place)
    }
    parameters = try MergekitParameters(document["parameters"], place: place)
    switch (document["models"], document["slices"]) {
    case (let models?, nil):
      self.models = try MergekitConfiguration.list(models, place: place)
      slice = MergekitParameters()
      layers = nil
    case (nil, let slices?):
      let whole = try MergekitSlice(slices, place: place)
      models = whole.models
      slice = whole.parameters
      base = whole.base ?? base
      layers = whole.layers
    case (_?, let slices?):
      throw place(slices.line).invalid("there are both 'models' and 'slices'; keep one of them")
    case (nil, nil):
      throw place(line).invalid("there are no 'models'; list them")
    }
    self.base = base
    for (index, entry) in models.enumerated()
    where models[..<index].contains(where: { $0.model == entry.model }) {
      throw place(entry.model.line).invalid(
        "\(entry.model.label) is listed twice; list it once, with the sum of its weights")
    }
    dtype = try MergekitConfiguration.dtype(document, place)
    takesBaseTokenizer = try MergekitConfiguration.takesBaseTokenizer(
      document, base: base, place: place)
  }

  private static func check(
    _ member: YAMLNode.Member, _ place: RecipeFileName
  ) throws(DFMergeError) {
    let here = place(member.line)
    switch member.key {
    case "modules":
      throw here.unsupported(
        "'modules' is not supported, and seldom needed: tensors of all modules are matched by name. "
          + "Write the models under 'models'")
    case "chat_template":
      throw here.unsupported(
        "'chat_template' is not supported: the result gets the base's. Take the key out, and change "
          + "chat_template.jinja or tokenizer_config.json of the result")
    case "genome", "tasks":
      throw here.unsupported(
        "'\(member.key)' belongs to mergekit-evolve; 'dfmerge search' searches a method's "
          + "coefficients, with a command of yours as the score")
    default:
      guard keys.contains(member.key) else {
        throw here.unknown("key '\(member.key)'", known: keys)
      }
    }
  }

  private static func list(
    _ node: YAMLNode, place: RecipeFileName
  ) throws(DFMergeError) -> [Model] {
    guard let items = node.items, !items.isEmpty else {
      throw place(node.line).invalid("'models' is \(node.shown); list one model or more")
    }
    var models: [Model] = []
    for item in items {
      for member in item.members ?? [] where !["model", "parameters"].contains(member.key) {
        throw place(member.line).unknown(
          "key '\(member.key)' of a model", known: ["model", "parameters"])
      }
      guard let model = item["model"] else {
        throw place(item.line).invalid("an entry of 'models' has no 'model'; name one")
      }
      models.append(
        Model(
          model: try MergekitModel(model, place: place),
          parameters: try MergekitParameters(item["parameters"], place: place)))
    }
    return models
  }

  private static func dtype(
    _ document: YAMLNode, _ place: RecipeFileName
  ) throws(DFMergeError) -> String? {
    // What is loaded as `dtype` is stored as `out_dtype`; the arithmetic is ours.
    var found: String?
    for key in ["out_dtype", "dtype"] {
      guard let node = document[key] else { continue }
      let name = node.text ?? ""
      let short = name.hasPrefix("torch.") ? String(name.dropFirst(6)) : name
      guard let dtype = ["bfloat16": "BF16", "float16": "F16", "float32": "F32"][short] else {
        throw place(node.line).invalid(
          "'\(key)' is \(node.shown); it takes bfloat16, float16 or float32")
      }
      found = found ?? dtype
    }
    return found
  }

  private static func takesBaseTokenizer(
    _ document: YAMLNode, base: MergekitModel?, place: RecipeFileName
  ) throws(DFMergeError) -> Bool {
    if let both = document["tokenizer"], document["tokenizer_source"] != nil {
      throw place(both.line).invalid(
        "there are both 'tokenizer' and 'tokenizer_source'; keep one of them")
    }
    var source = document["tokenizer_source"]
    if let tokenizer = document["tokenizer"] {
      for member in tokenizer.members ?? [] where member.key != "source" && !member.value.isNull {
        throw place(member.line).unsupported(
          "'\(member.key)' of 'tokenizer' is not supported: the result has the base's vocabulary. "
            + "Take it out, and add tokens to the base first (transformers: "
            + "resize_token_embeddings)")
      }
      // Union is its default there.
      guard let given = tokenizer["source"] else {
        throw place(tokenizer.line).unsupported(
          "'tokenizer' without 'source' asks for the union of the vocabularies, which is not "
            + "supported; write 'source: base'")
      }
      source = given
    }
    guard let source else { return false }
    if source.text == "base" { return true }
    if source.text == "union" {
      throw place(source.line).unsupported(
        "the union of the vocabularies is not supported; write 'base', or add the tokens to the "
          + "base first (transformers: resize_token_embeddings)")
    }
    guard try MergekitModel(source, place: place) == base else {
      throw place(source.line).unsupported(
        "the tokenizer is to be that of \(source.shown), and the result has that of the base model; "
          + "write 'base', and copy the other's files over the result's if their tokens are the same"
      )
    }
    return true
  }
}
