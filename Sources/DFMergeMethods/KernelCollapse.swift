import DFMergeCore
import DFMergeKernels

// Glossary: `e` copies of a tensor, stacked along its first axis.

/// The model that an expanded one of Majority Kernels is deployed as.
package struct KernelCollapse: MergeMethod {
  package static let info = MethodInfo(
    id: "collapse",
    title: "Majority Kernels, collapsed",
    formula:
      "theta = sum(p_i theta_1[i] over i = 0 ... e - 1);  p_i = w_i / sum(w), 1 / e by default",
    summary:
      "Turns a model whose tensors are e copies each, [e, ...], into the model of plain tensors, "
      + "[...], that it was trained to be: the mean of the copies. The option tensors names what is "
      + "expanded; by default that is what dfmerge.torch.MajorityKernels calls it, which trains such "
      + "models. Every other tensor stays as it is. Tensors keep their names: the module's deploy() "
      + "gives those of a plain model too.",
    source:
      "Majority Kernels (arXiv 2402.05033). No code of the authors was found to compare with: that a "
      + "kernel is stored as [e, ...], that p is drawn from the simplex in training and that the mean "
      + "is deployed is how we understand the paper. No known deviations.",
    needsBase: false, needsFisher: false, modelCounts: 1...1, isPermutationInvariant: false,
    changesShapes: true, gathersTensors: true, keepsEqualModels: false,
    options: [
      OptionSchema(
        "tensors", .names, default: .array([.string("*.parametrizations.*.original")]),
        "Names of the expanded tensors; '*' stands for any characters, '?' for one."),
      OptionSchema(
        "weights", .structured("a list of e numbers of 0 or more, one for each copy"),
        default: .null, varies: false,
        "What each copy counts, divided by their sum; null is the mean."),
    ])

  /// More copies than anybody trains: such a first axis is of something else.
  private static let mostCopies = 1024

  private let names: [String]
  /// Nil for the mean.
  private let weights: [Double]?

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    names = options.names("tensors")
    guard let given = options.values["weights"], given != .null else {
      weights = nil
      return
    }
    let numbers = (given.arrayValue ?? []).compactMap(\.doubleValue)
    let largest = numbers.max() ?? 0
    guard let items = given.arrayValue, numbers.count == items.count,
      numbers.allSatisfy({ $0.isFinite && $0 >= 0 }), largest > 0
    else {
      let shown = (try? given.text()) ?? "a non-finite number"
      throw DFMergeError(
        .invalidOption,
        "Option 'weights' of method 'collapse' is \(shown); it takes a list of numbers of 0 or more, "
          + "one for each copy and one of them above 0.", context: ["option": "weights"])
    }
    // Divided by the largest first, so that no sum overflows.
    let scaled = numbers.map { $0 / largest }
    let sum = scaled.reduce(0, +)
    weights = scaled.map { $0 / sum }
  }

  package func assembly(of outline: TensorOutline) throws(DFMergeError) -> TensorAssembly {
    guard names.contains(where: { TensorName.matches(outline.name, $0) }) else {
      return .elementwise
    }
    let sizes = outline.shape.dimensions
    guard let copies = sizes.first, 1...KernelCollapse.mostCopies ~= copies else {
      return .refused(
        "'\(outline.name)' is \(outline.shape), which is not 1 to \(KernelCollapse.mostCopies) copies "
          + "of a tensor; name the expanded tensors in the option 'tensors'")
    }
    if let weights, weights.count != copies {
      return .refused(
        "'\(outline.name)' is \(outline.shape), \(copies) copies, and the option 'weights' has "
          + "\(weights.count) numbers; name the expanded tensors in the option 'tensors'")
    }
    let shape = try Shape(Array(sizes.dropFirst()))
    return .gathered(
      GatheredTensor(
        shape: shape,
        parts: (0..<copies).map { copy in
          GatheredTensor.Part(
            outline.name, shape: outline.shape, start: copy &* shape.elementCount)
        }))
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    let count = tile.models.count
    let own = weights?.count == count ? weights : nil
    return Kernels.linearCombination(
      into: tile.out, tile.models,
      weights: own ?? tile.models.map { _ in 1 / Double(max(count, 1)) }, count: tile.count)
  }
}
