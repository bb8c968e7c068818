import DFMergeCore

/// What a method is and takes: the source of its listing, its documentation and its option checks.
public struct MethodInfo: Sendable {
  /// The name by which every door calls it.
  public let id: String
  public let title: String
  /// The formula, in code letters: theta0 base, theta_m model, tau_m = theta_m - theta0, F_m
  /// Fisher.
  public let formula: String
  /// When to use it and how it behaves at the edges.
  public let summary: String
  /// Paper and equation, with our deviations.
  public let source: String
  public let needsBase: Bool
  /// Whether the base's elements are read where a base is given; always true with `needsBase`.
  public let usesBase: Bool
  /// What it takes with each model beside the weights.
  public let modelData: ModelData
  /// How many models it takes.
  public let modelCounts: ClosedRange<Int>
  /// Whether another order of the models gives the same result up to the last bit.
  public let isPermutationInvariant: Bool
  /// Whether it is for adapters: tensors that are no LoRA factors are averaged.
  public let isForAdapters: Bool
  /// Whether the result has the adapters' scaling in its factors, so that its own `lora_alpha` is its
  /// rank; otherwise that of the adapters holds for it too.
  public let foldsScaling: Bool
  /// Whether tensors of the result may have other shapes than those of the inputs.
  public let changesShapes: Bool
  /// Whether tensors of the result may be made of tensors of other names, or of parts of tensors; see
  /// `GatheredTensor`.
  public let gathersTensors: Bool
  /// Whether models that all equal the base give the base with default options; where none is read,
  /// whether models that equal each other give that model. Up to rounding.
  public let keepsEqualModels: Bool
  /// Whether base and models multiplied by a positive number give the result multiplied by it; for
  /// powers of two up to the last bit.
  public let scalesWithInputs: Bool
  /// Whether some options make it write tensors that no input has.
  public let addsTensors: Bool
  public let options: [OptionSchema]

  /// Whether it takes Fisher values with each model.
  public var needsFisher: Bool { modelData == .fisher }

  /// What comes with each model.
  public enum ModelData: String, Sendable {
    case none
    /// Diagonal Fisher values, in the shapes of the tensors.
    case fisher
    /// Gram matrices of the inputs of linear layers, by the names of their weights: `[i, i]` for a
    /// weight `[o, i]`.
    case gram
  }

  package init(
    id: String, title: String, formula: String, summary: String, source: String,
    needsBase: Bool, usesBase: Bool = false, needsFisher: Bool, needsGram: Bool = false,
    modelCounts: ClosedRange<Int> = 1...Int.max, isPermutationInvariant: Bool = true,
    isForAdapters: Bool = false, foldsScaling: Bool = false, changesShapes: Bool = false,
    gathersTensors: Bool = false,
    keepsEqualModels: Bool = true, scalesWithInputs: Bool = true,
    addsTensors: Bool = false,
    options: [OptionSchema]
  ) {
    self.id = id
    self.title = title
    self.formula = formula
    self.summary = summary
    self.source = source
    self.needsBase = needsBase
    self.usesBase = needsBase || usesBase
    modelData = needsFisher ? .fisher : needsGram ? .gram : .none
    self.isForAdapters = isForAdapters
    self.foldsScaling = foldsScaling
    self.changesShapes = changesShapes
    self.gathersTensors = gathersTensors
    self.modelCounts = modelCounts
    self.isPermutationInvariant = isPermutationInvariant
    self.keepsEqualModels = keepsEqualModels
    self.scalesWithInputs = scalesWithInputs
    self.addsTensors = addsTensors
    self.options = options
  }

  /// Everything above as a JSON object.
  public var json: JSONValue {
    let most = modelCounts.upperBound
    return .object([
      "id": .string(id), "title": .string(title), "formula": .string(formula),
      "summary": .string(summary), "source": .string(source), "needs_base": .bool(needsBase),
      "uses_base": .bool(usesBase), "needs_fisher": .bool(needsFisher),
      "model_data": .string(modelData.rawValue), "for_adapters": .bool(isForAdapters),
      "changes_shapes": .bool(changesShapes), "gathers_tensors": .bool(gathersTensors),
      "adds_tensors": .bool(addsTensors),
      "least_models": .int(Int64(modelCounts.lowerBound)),
      "most_models": most == Int.max ? .null : .int(Int64(most)),
      "permutation_invariant": .bool(isPermutationInvariant),
      "keeps_equal_models": .bool(keepsEqualModels), "scales_with_inputs": .bool(scalesWithInputs),
      "options": .array(options.map(\.json)),
    ])
  }
}
