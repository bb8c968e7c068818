import DFMergeCore
import DFMergeIO
import DFMergeMethods

/// The work of making a ``MergePlan``: one output after the other, problems collected.
struct PlanAlignment {
  let reference: any WeightSource
  let hasBase: Bool
  let models: [any WeightSource]
  let fishers: [any WeightSource]
  let needsBase: Bool
  /// What the outputs belong to, for messages.
  let target: String
  /// Whether the host chose the outputs, whose shapes are then not ours to change.
  let isGiven: Bool
  let settings: MergeSettings
  /// Those of the outputs; nil where all are made elementwise.
  let methods: MethodSet?

  var entries: [MergePlan.Entry] = []
  var copies: [MergePlan.Copy] = []
  var leftOut: [String] = []
  private(set) var notes: [PlanFinding] = []
  var problems: [PlanFinding] = []
  let ties: TiedNames
  /// The entries of gathered tensors that further outputs may share.
  var gathered: [GatheredKey: Int] = [:]
  /// Found with the first output.
  var foundStacks: LayerStacks?
  /// How often a tensor was looked for under a longer or shorter name.
  private var nearSearches = 0

  init(
    reference: any WeightSource, hasBase: Bool, models: [any WeightSource],
    fishers: [any WeightSource], needsBase: Bool, target: String, isGiven: Bool,
    settings: MergeSettings, methods: MethodSet?
  ) {
    self.reference = reference
    self.hasBase = hasBase
    self.models = models
    self.fishers = fishers
    self.needsBase = needsBase
    self.target = target
    self.isGiven = isGiven
    self.settings = settings
    self.methods = methods
    ties = TiedNames(reference: reference)
  }

  /// What one source has for an output.
  enum Found {
    case fits(TensorView)
    /// Fits in everything but the number of rows.
    case rows(TensorView, PlanFinding)
    case fails(PlanFinding)
  }

  /// Aligns the inputs with one output.
  /// - Returns: the output as it will be written: with the shape that the method gives it.
  mutating func align(_ wanted: TensorSpec, _ position: Int) throws(DFMergeError) -> TensorSpec {
    guard wanted.dtype.isMergeable else {
      switch find(wanted, in: reference, exactly: true) {
      case .fits(let source):
        copies.append(MergePlan.Copy(output: wanted, position: position, source: source))
      case .rows(_, let finding), .fails(let finding): problems.append(finding)
      }
      return wanted
    }
    let scalings = self.scalings(of: wanted.name)
    switch try assembly(of: wanted, position, scalings) {
    case .elementwise: alignElements(wanted, position, scalings)
    case .whole(let whole):
      guard let output = try shaped(wanted, whole.shape) else { return wanted }
      try alignWhole(output, position, whole, scalings)
      return output
    case .gathered(let gathered):
      guard let output = try shaped(wanted, gathered.shape) else { return wanted }
      try alignGathered(output, position, gathered)
      return output
    case .refused(let text): problem(.method, wanted.name, text)
    }
    return wanted
  }

  private mutating func alignElements(
    _ output: TensorSpec, _ position: Int, _ scalings: [Double]
  ) {
    // The reference has the last word on names and shapes: without it there is nothing to fall
    // back to.
    var own: TensorView?
    switch find(output, in: reference) {
    case .fits(let view): own = view
    case .rows(_, let finding), .fails(let finding):
      problems.append(finding)
      if !hasBase { return }
    }
    var found: [TensorView] = []
    var findings: [PlanFinding] = []
    var hasCommonRows = true
    for model in hasBase ? models[...] : models.dropFirst() {
      switch find(output, in: model) {
      case .fits(let view): found.append(view)
      case .rows(let view, let finding):
        found.append(view)
        findings.append(finding)
      case .fails(let finding):
        findings.append(finding)
        if finding.kind == .shape { hasCommonRows = false }
      }
    }
    guard let own else { return problems.append(contentsOf: findings) }
    if !hasBase { found.insert(own, at: 0) }
    guard let first = findings.first else {
      return add(output, position, own, found, scalings, merged: output.shape.elementCount)
    }
    let policies = findings.map { finding in
      if finding.kind != .shape { return settings.missing }
      // Tensors whose rows are of different kinds have nothing in common.
      return settings.shape == .common && !hasCommonRows ? .error : settings.shape
    }
    if policies.contains(.error) {
      problems.append(
        contentsOf: zip(findings, policies).filter { $0.1 == .error }.map { $0.0 })
    } else if findings.allSatisfy({ $0.kind == .shape }), !policies.contains(.base) {
      let rows = ([output.shape] + found.map(\.shape)).compactMap(\.dimensions.first).min() ?? 0
      let width = output.shape.elementCount / max(output.shape.dimensions.first ?? 1, 1)
      let rest = (output.shape.dimensions.first ?? rows) - rows
      let others =
        rest > 0
        ? "\(rest) more \(rest == 1 ? "is" : "are") \(referenceName)" : "those beyond are left out"
      note(first, "the \(rows) rows that all have are merged, \(others)")
      add(output, position, own, found, scalings, merged: rows * width)
    } else if policies.contains(.base) {
      note(first, "\(referenceName) is copied")
      copies.append(MergePlan.Copy(output: output, position: position, source: own))
    } else {
      note(first, "it is left out")
      leftOut.append(output.name)
    }
  }

  /// Whose shape an output has: the reference's, which the user knows by its name, where it is.
  private func owner(of output: TensorSpec) -> String {
    reference.tensor(named: output.name)?.shape == output.shape ? reference.label : target
  }

  var referenceName: String { hasBase ? "the base's" : "the first model's" }

  private mutating func add(
    _ output: TensorSpec, _ position: Int, _ own: TensorView, _ found: [TensorView],
    _ scalings: [Double], merged: Int
  ) {
    guard let weights = alignFishers(output, found) else { return }
    entries.append(
      MergePlan.Entry(
        output: output, position: position, base: hasBase && needsBase ? own : nil, models: found,
        fishers: weights, mergedCount: merged,
        rest: merged < output.shape.elementCount ? own : nil, scalings: scalings))
  }

  /// What comes with each model.
  var dataName: String { hasGrams ? "Gram matrices" : "Fisher values" }

  var hasGrams: Bool {
    methods.map { type(of: $0.instances[0]).info.modelData } == .gram
  }

  /// The Fisher values of an output's models: of all or of none. Nil where they do not fit.
  mutating func alignFishers(
    _ output: TensorSpec, _ found: [TensorView], anyShape: Bool = false
  ) -> [TensorView]? {
    let views = fishers.map { $0.tensor(named: output.name) ?? ties.alias(of: output.name, in: $0) }
    guard let present = views.firstIndex(where: { $0 != nil }) else { return [] }
    var aligned: [TensorView] = []
    var isComplete = true
    for (number, view) in views.enumerated() {
      let label = fishers[number].label
      guard let view else {
        problem(
          .missing, output.name,
          "\(dataName) of '\(output.name)' are in \(fishers[present].label) but missing from "
            + "\(label); give them for every model or for none")
        isComplete = false
        continue
      }
      if !anyShape, !hasGrams, view.shape != found[number].shape {
        problem(
          .shape, output.name,
          "the Fisher values of '\(output.name)' in \(label) are \(view.shape) but the tensor is "
            + "\(found[number].shape)")
        isComplete = false
      } else if !view.dtype.isMergeable {
        problem(
          .dtype, output.name,
          "the \(dataName) of '\(output.name)' in \(label) are \(view.dtype.name); pass F64, F32, "
            + "F16 or BF16")
        isComplete = false
      }
      aligned.append(view)
    }
    return isComplete ? aligned : nil
  }

  /// What only a model has is refused or left out; a second name of a tensor that is merged is
  /// left out in any case.
  mutating func noteExtraTensors(
    beside outputs: [TensorSpec], except isKnown: (_ name: String) -> Bool
  ) {
    let known = Set(outputs.map(\.name))
    for model in hasBase ? models[...] : models.dropFirst() {
      for tensor in model.tensors where !known.contains(tensor.name) && !isKnown(tensor.name) {
        if let kept = ties.twin(of: tensor, in: model, among: known) {
          let text =
            "'\(tensor.name)' of \(model.label) is its '\(kept)' under a second name, which "
            + "\(target) does not have; it is left out"
          notes.append(PlanFinding(kind: .tied, tensor: tensor.name, text: text))
          continue
        }
        let place = reference.tensor(named: tensor.name) == nil ? reference.label : target
        let text = "'\(tensor.name)' is in \(model.label) but not in \(place)"
        let finding = PlanFinding(kind: .extra, tensor: tensor.name, text: text)
        if settings.extra != .base {
          problems.append(finding)
        } else {
          note(finding, "it is left out")
        }
      }
    }
  }

  mutating func note(_ finding: PlanFinding, _ consequence: String) {
    notes.append(
      PlanFinding(
        kind: finding.kind, tensor: finding.tensor, text: "\(finding.text); \(consequence)"))
  }

  mutating func problem(_ kind: PlanFinding.Kind, _ tensor: String, _ text: String) {
    problems.append(PlanFinding(kind: kind, tensor: tensor, text: text))
  }

  /// - Parameters:
  ///   - exactly: whether the type must be the output's.
  ///   - anyShape: whether the shape does not matter.
  mutating func find(
    _ output: TensorSpec, in source: any WeightSource, exactly: Bool = false, anyShape: Bool = false
  ) -> Found {
    func fail(_ kind: PlanFinding.Kind, _ text: String) -> Found {
      .fails(PlanFinding(kind: kind, tensor: output.name, text: text))
    }
    let name = output.name
    var found = source.tensor(named: name)
    if found == nil, let alias = ties.alias(of: name, in: source) {
      notes.append(
        PlanFinding(
          kind: .tied, tensor: name,
          text: "'\(name)' is '\(alias.name)' in \(source.label), to which it is tied"))
      found = alias
    }
    guard let found else {
      return fail(.missing, "'\(name)' is missing from \(source.label)\(near(name, in: source))")
    }
    guard exactly ? found.dtype == output.dtype : found.dtype.isMergeable else {
      return fail(
        .dtype,
        "'\(name)' is \(found.dtype.name) in \(source.label) but \(output.dtype.name) in \(target)")
    }
    guard found.shape != output.shape, !anyShape else { return .fits(found) }
    let finding = PlanFinding(
      kind: .shape, tensor: name,
      text: "'\(name)' is \(found.shape) in \(source.label) but \(output.shape) in "
        + owner(of: output))
    let sizes = (found.shape.dimensions, output.shape.dimensions)
    let isSameWidth =
      !sizes.0.isEmpty && sizes.0.count == sizes.1.count
      && sizes.0.dropFirst() == sizes.1.dropFirst()
    return isSameWidth ? .rows(found, finding) : .fails(finding)
  }

  /// A tensor of `source` under the same name with or without a prefix, such as that of
  /// DataParallel ("module.") or of a model inside a model ("bert."); only for lines that are shown,
  /// as each search goes through all names.
  private mutating func near(_ name: String, in source: any WeightSource) -> String {
    guard nearSearches < 20 else { return "" }
    nearSearches += 1
    let near = source.tensors.first {
      $0.name.hasSuffix("." + name) || name.hasSuffix("." + $0.name)
    }
    return near.map { ", which has '\($0.name)'" } ?? ""
  }
}
