import DFMergeCore

/// Something about a tensor that a plan met and the user should know.
package struct PlanFinding: Sendable {
  package enum Kind: String, Sendable, CaseIterable {
    /// A model or the Fisher values lack the tensor.
    case missing
    /// Only a model has the tensor.
    case extra
    case shape
    case dtype
    /// The tensor is another one under a second name.
    case tied
    /// Fisher values or Gram matrices that are of no tensor.
    case unused
    /// The method cannot make the tensor from the shapes that are there, or not in the target's.
    case method

    package var code: DFMergeError.Code {
      switch self {
      case .missing, .extra, .tied, .unused: .missingTensor
      case .shape, .method: .shapeMismatch
      case .dtype: .dtypeMismatch
      }
    }

    var remedy: String {
      switch self {
      case .missing, .tied:
        "A tensor that a model lacks can be copied from the base (missing: base) or left out "
          + "(missing: common)."
      case .extra: "Tensors that the base lacks can be left out (extra: base)."
      case .unused:
        "Fisher values and Gram matrices go by the names of the tensors that are merged, with every "
          + "prefix (model.) and ending (.weight): rename them, or measure them on these models."
      case .shape:
        "Where shapes differ, the base's tensor can be copied (shape: base) or the rows that all "
          + "have merged (shape: common)."
      case .method:
        "Where a method cannot make a tensor, other inputs may do or another method; memory to write "
          + "into must have the shapes that the merge gives."
      case .dtype:
        "Convert the checkpoint to F64, F32, F16 or BF16, or take the base's tensor "
          + "(missing: base)."
      }
    }
  }

  package let kind: Kind
  package let tensor: String
  /// A sentence without its full stop.
  package let text: String

  /// What can be done about `findings`, one sentence or two per kind.
  package static func remedies(for findings: [PlanFinding]) -> [String] {
    let kinds = Kind.allCases.filter { kind in findings.contains { $0.kind == kind } }
    return ["Pass checkpoints of one architecture, with the same names and shapes."]
      + kinds.map(\.remedy)
  }

  package var json: JSONValue {
    .object([
      "kind": .string(kind.rawValue), "tensor": .string(tensor), "text": .string(text),
    ])
  }
}
