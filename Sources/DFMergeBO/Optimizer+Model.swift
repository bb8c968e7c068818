import DFMergeCore

extension Optimizer {
  /// The model of the trials told; at least one must have a value.
  func model() throws(DFMergeError) -> ObjectiveModel {
    if let cachedModel { return cachedModel }
    let model = try model(believing: [])
    cachedModel = model
    return model
  }

  /// The same with suggestions that are not yet told taken to score what the model expects, and
  /// with a first stage that is told and not yet settled.
  func model(
    believing pending: [Suggestion], question: Trial? = nil
  ) throws(DFMergeError) -> ObjectiveModel {
    guard history.contains(where: { $0.value != nil }) else {
      throw DFMergeError(
        history.isEmpty ? .invalidState : .allTrialsFailed,
        history.isEmpty
          ? "No trial has been told yet; tell at least one score first."
          : "No trial of \(history.count) has a score; there is nothing to model.")
    }
    let full = history.filter { !$0.endedAfterSubset }
    let fits: [Surrogate]
    if let cachedFits { fits = cachedFits } else { fits = try self.fits(full) }
    cachedFits = fits
    let unfinished = history.filter(\.endedAfterSubset) + (question.map { [$0] } ?? [])
    let isStaged =
      !unfinished.isEmpty || pending.contains { pendingSubsets[$0.number] != nil }
    let points = (full + unfinished).flatMap(\.point) + pending.flatMap(\.point)
    let isSelectable =
      full.map { _ in true } + unfinished.map { _ in false } + pending.map { _ in true }
    var staged: [(row: Int, scores: Scores)] = []
    if isStaged {
      for (row, trial) in (full + unfinished).enumerated() {
        if let subset = trial.subset { staged.append((row, subset)) }
      }
      for (index, suggestion) in pending.enumerated() {
        if let subset = pendingSubsets[suggestion.number] {
          staged.append((full.count + unfinished.count + index, subset))
        }
      }
    }
    let observed = ObservedPoints(
      points: points, fullCount: full.count, pendingCount: pending.count,
      isSelectable: isSelectable, firstStages: staged.map(\.row))
    var roles: [ObjectiveModel.Role] = []
    for (part, fit) in zip(parts, fits) {
      let output: Output
      if isStaged {
        let lowest = fit.observations.values.min() ?? 0
        output = try Output(
          part.name, fit, observed: observed,
          scores: staged.map { part.value($0.scores) ?? lowest },
          share: options.subsetShare ?? Optimizer.unknownShare)
      } else {
        output = Output(part.name, try fit.believing(pending.map(\.point)))
      }
      roles.append(ObjectiveModel.Role(output: output, weight: part.weight, floor: part.floor))
    }
    return ObjectiveModel(
      modelsTasks ? objective.form : .linear, roles: roles,
      observations: Observations(
        dimension: dimension, points: points,
        values: [Double](repeating: 0, count: isSelectable.count),
        variances: [Double?](repeating: nil, count: isSelectable.count)),
      isSelectable: isSelectable)
  }

  /// The share taken for first stages that are recorded though the options know of none.
  private static let unknownShare = 0.5

  /// Whether each task has a model of its own, rather than the objective.
  var modelsTasks: Bool { objective.taskCount > 1 && options.modelling == .tasks }

  /// The highest value among the trials that keep to the floors; nil where there is none.
  var highestFeasible: Double? {
    history.compactMap { trial -> Double? in
      guard let value = trial.value, let scores = trial.scores else { return nil }
      return objective.violation(scores.values) == 0 ? value : nil
    }.max()
  }

  /// A quantity that is modelled.
  private struct Part {
    let name: String
    /// nil: the objective itself.
    let task: Int?
    let weight: Double
    let floor: Double?
    let objective: Objective

    func value(_ scores: Scores) -> Double? {
      if let task { return scores.values[task] }
      return objective.value(scores.values)?.value
    }
  }

  /// In order of their names; the objective itself, which has none, first.
  private var parts: [Part] {
    var parts: [Part] = []
    if !modelsTasks {
      let floor = objective.taskCount == 1 ? objective.floors[0] : nil
      parts.append(Part(name: "", task: nil, weight: 1, floor: floor, objective: objective))
      if objective.taskCount == 1 { return parts }
    }
    let total = objective.weights.reduce(0, +)
    for task in objective.tasks.indices.sorted(by: { objective.tasks[$0] < objective.tasks[$1] }) {
      let weight = modelsTasks ? objective.weights[task] / total : 0
      let floor = objective.floors[task]
      // A task that neither counts nor is constrained needs no model.
      guard weight > 0 || floor != nil else { continue }
      parts.append(
        Part(
          name: "task \(objective.tasks[task])", task: task, weight: weight, floor: floor,
          objective: objective))
    }
    return parts
  }

  private func fits(_ trials: [Trial]) throws(DFMergeError) -> [Surrogate] {
    var fits: [Surrogate] = []
    for part in parts {
      if let task = part.task {
        fits.append(
          try fitted(
            trials, trials.map { $0.scores?.values[task] },
            trials.map { $0.scores?.variance(task) }))
      } else {
        fits.append(try fitted(trials, trials.map(\.value), trials.map(\.variance)))
      }
    }
    return fits
  }

  /// A model of one score per trial; failed ones count as the lowest of the others.
  private func fitted(
    _ trials: [Trial], _ values: [Double?], _ variances: [Double?]
  ) throws(DFMergeError) -> Surrogate {
    let lowest = values.compactMap { $0 }.min() ?? 0
    let observations = Observations(
      dimension: dimension, points: trials.flatMap(\.point), values: values.map { $0 ?? lowest },
      variances: variances)
    switch options.model {
    case .isotropic:
      return try IsotropicModel.fit(
        observations, seed: UInt32(truncatingIfNeeded: options.seed),
        fitNumber: trials.count - options.initial)
    case .hierarchical:
      return try HierarchicalModel(observations).fit(
        random: CounterRandom(
          seed: options.seed, purpose: "model.starts", index: UInt64(trials.count)))
    }
  }
}

extension Objective {
  /// How modelled tasks become the objective.
  var form: Aggregation.Form {
    switch aggregate {
    case .mean, .weighted: .linear
    case .minimum: .minimum
    case .geometric: .geometric
    }
  }
}
