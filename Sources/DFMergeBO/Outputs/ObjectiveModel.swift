import DFMergeCore

/// What is known of the objective: the outputs that are modelled, how they become the objective,
/// and what each must not fall below.
///
/// The outputs are taken as independent given the data. They stand in order of their names, so
/// that the order in which the tasks were named changes no bit.
struct ObjectiveModel {
  /// What an output means to the objective.
  struct Role {
    var output: Output
    /// Its weight in the aggregate; 0 where it is only constrained.
    let weight: Double
    /// In score units; nil where there is none.
    let floor: Double?

    /// The floor in the output's standardised units.
    var standardisedFloor: Double? {
      floor.map { ($0 - output.standardisation.shift) / output.standardisation.scale }
    }
  }

  let roles: [Role]
  let aggregation: Aggregation
  /// The points [D, d] at which something was told or is pending.
  let observations: Observations
  /// Whether each point may be the best one: a full evaluation or a pending one [D].
  let isSelectable: [Bool]
  /// The objective of the posterior means at the points [D], in the aggregation's units; points
  /// that miss a floor stand below all others, by what they miss.
  let meansAtData: [Double]

  var outputs: [Output] { roles.map(\.output) }

  init(_ form: Aggregation.Form, roles: [Role], observations: Observations, isSelectable: [Bool]) {
    self.roles = roles
    self.observations = observations
    self.isSelectable = isSelectable
    let aggregation = Aggregation(
      form, weights: roles.map(\.weight), standardisations: roles.map(\.output.standardisation))
    self.aggregation = aggregation
    var means = isSelectable.indices.map { i in
      aggregation.value(roles.map { $0.output.means[i] })
    }
    let lowest = means.min() ?? 0
    for i in means.indices {
      var missing = 0.0
      for role in roles {
        if let floor = role.standardisedFloor { missing += max(0, floor - role.output.means[i]) }
      }
      if missing > 0 { means[i] = min(means[i], lowest) - missing }
    }
    meansAtData = means
  }

  /// One output that is the objective itself, evaluated in full everywhere.
  init(_ surrogate: Surrogate) {
    self.init(
      .linear, roles: [Role(output: Output("", surrogate), weight: 1, floor: nil)],
      observations: surrogate.observations,
      isSelectable: [Bool](repeating: true, count: surrogate.observations.count))
  }
}
