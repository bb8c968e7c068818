import DFMerge

/// Answers the search's questions about the candidate that stands in the network's parameters.
///
/// An actor, so that the rest of the program may use the network between a search's calls.
actor NetworkHost: AsyncSearchHost {
  private let network: Network
  private let validation: [[Sample]]
  private let unlabelled: [[Sample]]

  init(
    _ network: sending Network, validation: [[Sample]], unlabelled: [[Sample]]
  ) {
    self.network = network
    self.validation = validation
    self.unlabelled = unlabelled
  }

  /// One score per task, larger is better, and how uncertain each is.
  func evaluate(_ trial: TrialRequest) -> Evaluation {
    let scores = validation.map { network.accuracy(on: $0) }
    let variances = zip(scores, validation).map { $0 * (1 - $0) / Double($1.count) }
    return .scores(scores, variances: variances)
  }

  /// The diagonal Fisher: the mean over inputs x, and over labels y as the model itself expects
  /// them, of the squared gradient of log p(y | x). No labels are needed.
  func measureFisher(_ request: sending FisherRequest) throws {
    let inputs = unlabelled[request.model]
    for sample in inputs {
      for (label, probability) in network.probabilities(sample.x).classes.enumerated() {
        let weight = Double(probability) / Double(inputs.count)
        for (name, gradient) in network.gradient(sample.x, label: label) {
          try request.accumulate(gradient, of: name, weight: weight)
        }
      }
    }
  }

  /// The accuracies of what stands in the parameters now.
  func accuracies(on data: [[Sample]]) -> [Double] { data.map { network.accuracy(on: $0) } }
}
