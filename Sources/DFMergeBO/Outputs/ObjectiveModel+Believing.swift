import DFMergeCore

extension ObjectiveModel {
  /// The same model with points that are asked and not yet told, taken to score their posterior
  /// means in every output; see ``Surrogate/believing(_:)``.
  func believing(_ pending: [[Double]]) throws(DFMergeError) -> ObjectiveModel {
    guard !pending.isEmpty else { return self }
    var roles = roles
    for index in roles.indices {
      let output = roles[index].output
      roles[index].output = Output(output.name, try output.surrogate.believing(pending))
    }
    return ObjectiveModel(
      aggregation.form, roles: roles, observations: roles[0].output.surrogate.observations,
      isSelectable: isSelectable + pending.map { _ in true })
  }
}
