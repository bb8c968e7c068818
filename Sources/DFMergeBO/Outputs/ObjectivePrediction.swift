import DFMergeCore

/// Mean and deviation of the objective at any point, noise excluded: in closed form, or for the
/// minimum and the geometric mean by ``SampledObjective``.
struct ObjectivePrediction {
  private let model: ObjectiveModel
  private let stack: OutputStack
  private let objective: any ObjectivePosterior

  init(_ model: ObjectiveModel) {
    self.model = model
    stack = OutputStack(model.outputs.map(\.posterior))
    objective = AcquisitionFunction.objective(
      stack, model.aggregation, CounterRandom(seed: 0, purpose: "prediction"))
  }

  /// In the aggregation's units.
  func standardised(_ x: [Double]) -> (mean: Double, deviation: Double) {
    x.withUnsafeBufferPointer { buffer in
      guard let x = buffer.baseAddress else { return (0, 0) }
      stack.evaluate(x)
      return objective.moments()
    }
  }

  /// In score units.
  func predict(_ x: [Double]) -> (mean: Double, deviation: Double) {
    let (mean, deviation) = standardised(x)
    return (model.aggregation.score(mean), model.aggregation.unit * deviation)
  }

  /// What the posterior means at x miss of the floors, in score units.
  func violation(_ x: [Double]) -> Double {
    var total = 0.0
    for role in model.roles {
      guard let floor = role.floor else { continue }
      let mean = role.output.standardisation.score(role.output.posterior.predict(x).mean)
      total += max(0, floor - mean)
    }
    return total
  }
}
