import DFMergeCore
import DFMergeKernels
import DFMergeMethods

// What a kernel only notices, in words.
extension MergeExecutor {
  /// Names the first element that is at fault.
  func explain(_ block: MergeTile, in entry: MergePlan.Entry) throws(DFMergeError) {
    let tensor = entry.output.name
    // What whole tensors come with is the method's to check: a Gram matrix has negative elements.
    for (model, fisher) in block.fishers.enumerated() where entry.whole == nil {
      let found =
        Kernels.firstNegativeOrNonFinite(fisher.lower, count: block.count)
        ?? fisher.upper.flatMap { Kernels.firstNegativeOrNonFinite($0, count: block.count) }
      guard let found else { continue }
      let name = model < plan.modelNames.count ? plan.modelNames[model] : "\(model)"
      throw DFMergeError(
        .nonFinite,
        "The Fisher value of model '\(name)' for element \(block.offset + found) of tensor "
          + "'\(tensor)' is negative, NaN or infinite; check where the Fisher values come from.",
        context: ["tensor": tensor, "model": name])
    }
    guard !allowsNonFinite else { return }
    // The tensor of another name that is to blame.
    let source = zip(entry.models, block.models).first { view, elements in
      view.name != tensor && Kernels.firstNonFinite(elements, count: block.count) != nil
    }
    try explain(
      block.out, count: block.count, at: block.offset, of: tensor, madeOf: source?.0.name)
  }

  func explain(
    _ out: MutableElements, count: Int, at offset: Int, of tensor: String,
    madeOf source: String? = nil
  ) throws(DFMergeError) {
    guard let found = Kernels.firstNonFinite(out.readable, count: count) else { return }
    let origin = source.map { ", which is made of '\($0)'," } ?? ""
    throw DFMergeError(
      .nonFinite,
      "Element \(offset + found) of tensor '\(tensor)'\(origin) is NaN or infinite after the merge; "
        + "check the inputs for NaN and for values beyond the range of the output's element type, "
        + "\(nonFiniteRemedy).",
      context: ["tensor": tensor])
  }
}
