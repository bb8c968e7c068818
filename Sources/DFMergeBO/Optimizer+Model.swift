import DFMergeCore

extension Optimizer {
  /// The model of the trials told; at least one must have a value.
  func model() throws(DFMergeError) -> ObjectiveModel {
    if let cachedModel { return cachedModel }
    guard history.contains(where: { $0.value != nil }) else {
      throw DFMergeError(
        history.isEmpty ? .invalidState : .allTrialsFailed,
        history.isEmpty
          ? "No trial has been told yet; tell at least one score first."
          : "All \(history.count) trials failed; there is no score to model.")
    }
    let roles = try roles()
    let model = ObjectiveModel(
      modelsTasks ? objective.form : .linear, roles: roles,
      observations: roles[0].output.surrogate.observations,
      isSelectable: [Bool](repeating: true, count: history.count))
    cachedModel = model
    return model
  }

  /// Whether each task has a model of its own, rather than the objective.
  var modelsTasks: Bool { objective.taskCount > 1 && options.modelling == .tasks }

  /// The highest value among the trials that keep to the floors; nil where there is none.
  var highestFeasible: Double? {
    history.compactMap { trial -> Double? in
      guard let value = trial.value, let scores = trial.scores else { return nil }
      return objective.violation(scores.values) == 0 ? value : nil
    }.max()
  }

  private func roles() throws(DFMergeError) -> [ObjectiveModel.Role] {
    var roles: [ObjectiveModel.Role] = []
    if !modelsTasks {
      let output = Output("", try fitted(history.map(\.value), history.map(\.variance)))
      roles.append(
        ObjectiveModel.Role(
          output: output, weight: 1, floor: objective.taskCount == 1 ? objective.floors[0] : nil))
      if objective.taskCount == 1 { return roles }
    }
    let total = objective.weights.reduce(0, +)
    let order = objective.tasks.indices.sorted { objective.tasks[$0] < objective.tasks[$1] }
    for task in order {
      let weight = modelsTasks ? objective.weights[task] / total : 0
      let floor = objective.floors[task]
      // A task that neither counts nor is constrained needs no model.
      guard weight > 0 || floor != nil else { continue }
      let surrogate = try fitted(
        history.map { $0.scores?.values[task] }, history.map { $0.scores?.variance(task) })
      roles.append(
        ObjectiveModel.Role(
          output: Output("task \(objective.tasks[task])", surrogate), weight: weight,
          floor: floor))
    }
    return roles
  }

  /// A model of one score per trial; failed ones count as the lowest of the others.
  private func fitted(
    _ values: [Double?], _ variances: [Double?]
  ) throws(DFMergeError) -> Surrogate {
    let lowest = values.compactMap { $0 }.min() ?? 0
    let observations = Observations(
      dimension: dimension, points: history.flatMap(\.point), values: values.map { $0 ?? lowest },
      variances: variances)
    switch options.model {
    case .isotropic:
      return try IsotropicModel.fit(
        observations, seed: UInt32(truncatingIfNeeded: options.seed),
        fitNumber: history.count - options.initial)
    case .hierarchical:
      return try HierarchicalModel(observations).fit(
        random: CounterRandom(
          seed: options.seed, purpose: "model.starts", index: UInt64(history.count)))
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
