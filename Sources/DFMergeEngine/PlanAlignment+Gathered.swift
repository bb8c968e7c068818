import DFMergeCore
import DFMergeIO
import DFMergeMethods

/// What two gathered tensors have in common that have the same values.
struct GatheredKey: Hashable {
  let parts: [GatheredTensor.Part]
  let shape: Shape
  let dtype: DType
  /// Which options: a place among the method's instances.
  let instance: Int
}

// Tensors that a method makes of other tensors, or of parts of tensors.
extension PlanAlignment {
  /// The layers of the reference's tensors, those among them that a file says are tied to others.
  mutating func stacks() -> LayerStacks {
    if let foundStacks { return foundStacks }
    let dropped = reference.metadata.filter { name, kept in
      reference.tensor(named: name) == nil && reference.tensor(named: kept) != nil
    }
    let found = LayerStacks(reference.tensors.map(\.name) + dropped.keys.sorted())
    foundStacks = found
    return found
  }

  /// The output with the shape that the method gives it; nil where that of a given target is another.
  mutating func shaped(_ wanted: TensorSpec, _ shape: Shape) throws(DFMergeError) -> TensorSpec? {
    guard !isGiven || shape == wanted.shape else {
      problem(
        .method, wanted.name,
        "'\(wanted.name)' is \(wanted.shape) in \(target) but the merge gives \(shape)")
      return nil
    }
    return try TensorSpec(name: wanted.name, dtype: wanted.dtype, shape: shape)
  }

  /// - Parameter output: in the shape that the method gives it.
  mutating func alignGathered(
    _ output: TensorSpec, _ position: Int, _ gathered: GatheredTensor
  ) throws(DFMergeError) {
    let key = GatheredKey(
      parts: gathered.parts, shape: output.shape, dtype: output.dtype,
      instance: methods?.instance(of: position) ?? 0)
    if let entry = self.gathered[key] { return entries[entry].twins.append(position) }
    var found: [TensorView] = []
    var findings: [PlanFinding] = []
    for model in models {
      var own: [TensorView] = []
      for part in gathered.parts {
        let wanted = try TensorSpec(name: part.name, dtype: output.dtype, shape: part.shape)
        switch find(wanted, in: model) {
        case .fits(let view):
          let run = try view.run(from: part.start, shape: gathered.shape)
          if !own.contains(where: { $0.isSameMemory(as: run) }) { own.append(run) }
        case .rows(_, let finding), .fails(let finding): findings.append(finding)
        }
      }
      found += own
    }
    let original = reference.tensor(named: output.name)
    if let first = findings.first {
      let policies = findings.map { $0.kind == .shape ? settings.shape : settings.missing }
      // The first rows of some parts are no part of the result.
      let isCommon = findings.contains { $0.kind == .shape } && policies.contains(.common)
      if isCommon || policies.contains(.error) { return problems.append(contentsOf: findings) }
      if policies.contains(.base) {
        guard let original, original.shape == output.shape else {
          return problems.append(contentsOf: findings)
        }
        note(first, "\(referenceName) is copied")
        copies.append(MergePlan.Copy(output: output, position: position, source: original))
      } else {
        note(first, "'\(output.name)' is left out")
        leftOut.append(output.name)
      }
      return
    }
    self.gathered[key] = entries.count
    entries.append(
      MergePlan.Entry(
        output: output, position: position, base: nil, models: found, fishers: [],
        mergedCount: output.shape.elementCount, rest: nil, parts: gathered.parts,
        isReshaped: output.shape != original?.shape))
  }
}
