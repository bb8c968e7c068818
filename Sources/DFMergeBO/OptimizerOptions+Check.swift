import DFMergeCore

extension OptimizerOptions {
  /// Most posterior draws of noisy EI: beyond, time grows and the estimate does not.
  static let maximumSamples = 4096

  /// - Throws: `.invalidOption` naming the field that is out of range.
  func check(dimension: Int) throws(DFMergeError) {
    func refuse(_ option: String, _ message: String) -> DFMergeError {
      DFMergeError(.invalidOption, "Option '\(option)' \(message).", context: ["option": option])
    }
    if initial < 0 { throw refuse("initial", "is \(initial); it counts trials, from 0") }
    if design == .uniform || model == .isotropic, seed > UInt64(UInt32.max) {
      throw refuse("seed", "is \(seed); the paper's generator takes 0 to \(UInt32.max)")
    }
    for (index, point) in informed.enumerated() {
      if let problem = Optimizer.problem(of: point, dimension: dimension) {
        throw refuse("informed", "has a point \(index) that \(problem)")
      }
    }
    if let subsetShare, !(subsetShare > 0 && subsetShare < 1) {
      throw refuse("subset_share", "is \(subsetShare); it must lie between 0 and 1, both excluded")
    }
    if let examples, examples < 1 {
      throw refuse("examples", "is \(examples); it counts the examples of a score, from 1")
    }
    if examples != nil, model == .isotropic {
      throw refuse("examples", "is given, but the paper's model has no noise; leave it out")
    }
    if freshExamples, examples == nil {
      throw refuse("fresh_examples", "is given without examples; say how many there are")
    }
    if inputWarping, model == .isotropic {
      throw refuse("input_warping", "is set, but the paper's model has none; leave it out")
    }
    switch acquisition {
    case .expectedImprovement(let xi), .logExpectedImprovement(let xi):
      if !xi.isFinite { throw refuse("xi", "is \(xi); it must be finite") }
    case .upperConfidenceBound(let kappa):
      if !(kappa.isFinite && kappa >= 0) {
        throw refuse("kappa", "is \(kappa); it must be finite and at least 0")
      }
    case .logNoisyExpectedImprovement(let samples):
      if !(1...OptimizerOptions.maximumSamples).contains(samples) {
        throw refuse(
          "samples", "is \(samples); it takes 1 to \(OptimizerOptions.maximumSamples)")
      }
    }
  }
}
