import DFMergeCore
import DFMergeIO
import DFMergeMethods

// Tensors that a method makes in one tile, from inputs of shapes of their own.
extension PlanAlignment {
  /// How the method makes `output`; elementwise where the reference lacks it, which is found then.
  mutating func assembly(
    of output: TensorSpec, _ position: Int, _ scalings: [Double]
  ) throws(DFMergeError) -> TensorAssembly {
    guard let methods, let own = view(of: output.name, in: reference) else { return .elementwise }
    let (reference, models, ties) = (reference, models, ties)
    let layers = stacks()
    let shapes: (String) -> [Shape?] = { name in
      models.map { ($0.tensor(named: name) ?? ties.alias(of: name, in: $0))?.shape }
    }
    return try methods[position].assembly(
      of: TensorOutline(
        name: output.name, shape: own.shape, models: shapes(output.name),
        data: fishers.map { view(of: output.name, in: $0)?.shape }, scalings: scalings,
        layer: layers.place(of: output.name),
        own: { name in
          let found = reference.tensor(named: name) ?? ties.alias(of: name, in: reference)
          return found.flatMap { $0.dtype.isMergeable ? $0.shape : nil }
        }, others: shapes))
  }

  /// What the LoRA factors of a tensor's module are multiplied by in each model; none unless every
  /// model says.
  func scalings(of name: String) -> [Double] {
    guard let factor = LoRAFactor(name) else { return [] }
    // Of an adapter that lacks the module nothing is merged there.
    let found = models.compactMap { model in
      model.adapter != nil && model.tensor(named: name) == nil
        ? 1 : model.loraScaling(of: factor)
    }
    return found.count == models.count ? found : []
  }

  private func view(of name: String, in source: any WeightSource) -> TensorView? {
    source.tensor(named: name) ?? ties.alias(of: name, in: source)
  }

  mutating func alignWhole(
    _ output: TensorSpec, _ position: Int, _ whole: WholeTensor, _ scalings: [Double]
  ) throws(DFMergeError) {
    let own: TensorView
    switch find(output, in: reference, anyShape: true) {
    case .fits(let view), .rows(let view, _): own = view
    case .fails(let finding): return problems.append(finding)
    }
    var findings: [PlanFinding] = []
    var found = collect(output, &findings)
    if !hasBase { found.insert(own, at: 0) }
    var partners: [[TensorView]] = []
    // A model that lacks the tensor need not have what goes with it.
    for name in findings.isEmpty ? whole.partners : [] {
      let wanted = try TensorSpec(name: name, dtype: output.dtype, shape: output.shape)
      var views = collect(wanted, &findings)
      if !hasBase {
        switch find(wanted, in: reference, anyShape: true) {
        case .fits(let view), .rows(let view, _): views.insert(view, at: 0)
        case .fails(let finding): findings.append(finding)
        }
      }
      partners.append(views)
    }
    if let first = findings.first {
      switch settings.missing {
      case .error: problems.append(contentsOf: findings)
      case .base:
        guard own.shape == output.shape else { return problems.append(contentsOf: findings) }
        note(first, "\(referenceName) is copied")
        copies.append(MergePlan.Copy(output: output, position: position, source: own))
      case .common:
        note(first, "'\(output.name)' is left out")
        leftOut.append(output.name)
      }
      return
    }
    guard let data = alignFishers(output, found, anyShape: true) else { return }
    entries.append(
      MergePlan.Entry(
        output: output, position: position, base: hasBase && needsBase ? own : nil, models: found,
        fishers: data, mergedCount: output.shape.elementCount, rest: nil, whole: whole,
        partners: partners, scalings: scalings, isReshaped: whole.shape != found.first?.shape))
  }

  /// What the models beside the reference have, of any shape.
  private mutating func collect(
    _ output: TensorSpec, _ findings: inout [PlanFinding]
  ) -> [TensorView] {
    var found: [TensorView] = []
    for model in hasBase ? models[...] : models.dropFirst() {
      switch find(output, in: model, anyShape: true) {
      case .fits(let view), .rows(let view, _): found.append(view)
      case .fails(let finding): findings.append(finding)
      }
    }
    return found
  }
}
