import DFMergeCore

/// The `slices:` of a configuration that has one slice, from the first layer on: the `models:` form
/// in another dress, and the one that most published configurations are in.
struct MergekitSlice: Sendable {
  let models: [MergekitConfiguration.Model]
  let parameters: MergekitParameters
  let base: MergekitModel?
  /// The merge must be of all layers, which only the models can tell.
  let layers: MergeStep.LayerClaim

  init(_ node: YAMLNode, place: RecipeFileName) throws(DFMergeError) {
    guard let slices = node.items, let slice = slices.first else {
      throw place(node.line).invalid("'slices' is \(node.shown); use 'models'")
    }
    if slices.count > 1 {
      throw place(slices[1].line).unsupported(
        "several slices stack or reorder layers, which is not supported; merge whole models under "
          + "'models' (a value by layer is a list of numbers: [0, 0.5, 1])")
    }
    for member in slice.members ?? [] where !member.value.isNull {
      switch member.key {
      case "sources", "parameters", "base_model": break
      case "residual_weight":
        throw place(member.line).unsupported("'residual_weight' is not supported; take it out")
      default:
        throw place(member.line).unknown(
          "key '\(member.key)' of a slice", known: ["sources", "parameters", "base_model"])
      }
    }
    guard let list = slice["sources"], let sources = list.items, let first = sources.first else {
      throw place(slice.line).invalid("the slice has no 'sources'; list the models")
    }
    let count = try MergekitSlice.layerCount(first, place: place)
    var models: [MergekitConfiguration.Model] = []
    for source in sources {
      for member in source.members ?? []
      where !["model", "layer_range", "parameters"].contains(member.key) {
        throw place(member.line).unknown(
          "key '\(member.key)' of a source", known: ["model", "layer_range", "parameters"])
      }
      guard try MergekitSlice.layerCount(source, place: place) == count else {
        throw place(source.line).invalid(
          "the sources of a slice have different numbers of layers; give all the same layer_range")
      }
      guard let model = source["model"] else {
        throw place(source.line).invalid("a source has no 'model'; name one")
      }
      models.append(
        MergekitConfiguration.Model(
          model: try MergekitModel(model, place: place),
          parameters: try MergekitParameters(source["parameters"], place: place)))
    }
    self.models = models
    parameters = try MergekitParameters(slice["parameters"], place: place)
    base = try slice["base_model"].map { (node) throws(DFMergeError) in
      try MergekitModel(node, place: place)
    }
    layers = MergeStep.LayerClaim(
      count: count, place: place(first["layer_range"]?.line ?? first.line).text)
  }

  private static func layerCount(
    _ source: YAMLNode, place: RecipeFileName
  ) throws(DFMergeError) -> Int {
    guard let range = source["layer_range"], let ends = range.items, ends.count == 2,
      let start = ends[0].number.flatMap({ Int(exactly: $0) }),
      let end = ends[1].number.flatMap({ Int(exactly: $0) }), end > start
    else {
      throw place(source["layer_range"]?.line ?? source.line).invalid(
        "'layer_range' takes two whole numbers, [0, number of layers]")
    }
    guard start == 0 else {
      throw place(range.line).unsupported(
        "the slice begins with layer \(start); only whole models are merged, [0, number of layers]. "
          + "Use 'models'")
    }
    return end
  }
}
