import DFMergeCore

extension AcquisitionFunction {
  /// The acquisition over one output that is the objective itself.
  convenience init(
    _ kind: OptimizerOptions.Acquisition, surrogate: Surrogate, highest: Double,
    random: CounterRandom
  ) throws(DFMergeError) {
    try self.init(kind, model: ObjectiveModel(surrogate), highest: highest, random: random)
  }
}

extension AcquisitionSearch {
  init(
    function: AcquisitionFunction, surrogate: Surrogate, known: [[Double]], seed: UInt64,
    number: Int
  ) {
    self.init(
      function: function, surrogate: ObjectiveModel(surrogate), known: known, seed: seed,
      number: number)
  }
}
