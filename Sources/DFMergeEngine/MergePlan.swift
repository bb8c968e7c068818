import DFMergeCore
import DFMergeKernels

/// Base, models and target, aligned once and checked before a weight is read.
///
/// The target decides what is merged: every tensor of it with a floating-point type that is merged
/// (F64, F32, F16, BF16) is computed; every other tensor is copied from the base, or from the first
/// model where there is no base. Tensors that only the base or the models have are not touched.
package struct MergePlan: Sendable {
  /// One tensor to compute.
  package struct Entry: Sendable {
    package let target: MutableTensorView
    package let base: TensorView?
    /// One per model, in the models' order.
    package let models: [TensorView]
  }

  /// One tensor to copy.
  package struct Copy: Sendable {
    package let target: MutableTensorView
    package let source: TensorView
  }

  package let entries: [Entry]
  package let copies: [Copy]
  package let modelNames: [String]

  /// The number of elements that are computed.
  package var elementCount: Int { entries.reduce(0) { $0 + $1.target.shape.elementCount } }

  /// Aligns by name.
  /// - Throws: one error that lists every problem: `.missingTensor`, `.shapeMismatch` or
  ///   `.dtypeMismatch` by the first of them; `.invalidArgument` for a target without tensors.
  package init(
    target: [MutableTensorView], base: (any WeightSource)?, models: [any WeightSource]
  ) throws(DFMergeError) {
    guard !target.isEmpty else {
      throw DFMergeError(.invalidArgument, "The target has no tensors; add the tensors to write.")
    }
    var problems = ProblemList()
    var entries: [Entry] = []
    var copies: [Copy] = []
    for tensor in target {
      if tensor.dtype.isMergeable {
        let found = models.map { problems.find(tensor, in: $0) }
        let baseTensor = base.map { problems.find(tensor, in: $0) }
        let aligned = found.compactMap { $0 }
        if aligned.count == models.count {
          entries.append(Entry(target: tensor, base: baseTensor ?? nil, models: aligned))
        }
      } else if let source = base ?? models.first {
        if let from = problems.find(tensor, in: source, exactType: true) {
          copies.append(Copy(target: tensor, source: from))
        }
      }
    }
    try problems.throwIfAny()
    self.entries = entries
    self.copies = copies
    self.modelNames = models.map(\.label)
  }
}

/// Collects every mismatch, so that the caller can mend them all at once.
private struct ProblemList {
  /// Twenty lines say what kind of trouble it is; a thousand would hide it.
  private static let shown = 20

  private var first: DFMergeError?
  private var lines: [String] = []

  /// The tensor of `source` that fits `tensor`; nil (and a recorded problem) when none does.
  mutating func find(
    _ tensor: MutableTensorView, in source: any WeightSource, exactType: Bool = false
  ) -> TensorView? {
    let name = tensor.name
    guard let found = source.tensor(named: name) else {
      add(
        .missingTensor, name,
        "'\(name)' is missing from \(source.label)\(nearName(of: name, in: source))")
      return nil
    }
    guard found.shape == tensor.shape else {
      add(
        .shapeMismatch, name,
        "'\(name)' is \(found.shape) in \(source.label) but \(tensor.shape) in the target")
      return nil
    }
    let fits = exactType ? found.dtype == tensor.dtype : found.dtype.isMergeable
    guard fits else {
      add(
        .dtypeMismatch, name,
        "'\(name)' is \(found.dtype.name) in \(source.label) but \(tensor.dtype.name) in the target"
      )
      return nil
    }
    return found
  }

  /// A tensor of `source` under the same name with or without a prefix, such as that of
  /// DataParallel ("module.") or of a model inside a model ("bert."); only for lines that are shown.
  private func nearName(of name: String, in source: any WeightSource) -> String {
    guard lines.count < ProblemList.shown else { return "" }
    let near = source.tensors.first {
      $0.name.hasSuffix("." + name) || name.hasSuffix("." + $0.name)
    }
    return near.map { ", which has '\($0.name)'" } ?? ""
  }

  private mutating func add(_ code: DFMergeError.Code, _ tensor: String, _ line: String) {
    lines.append(line)
    if first == nil { first = DFMergeError(code, line, context: ["tensor": tensor]) }
  }

  func throwIfAny() throws(DFMergeError) {
    guard let first else { return }
    let shown = lines.prefix(ProblemList.shown).joined(separator: "; ")
    let rest = lines.count - ProblemList.shown
    let more = rest > 0 ? "; and \(rest) more" : ""
    throw DFMergeError(
      first.code,
      "\(lines.count) tensor\(lines.count == 1 ? "" : "s") cannot be aligned: \(shown)\(more). "
        + "Pass checkpoints of one architecture, with the same names and shapes.",
      context: first.context)
  }
}
