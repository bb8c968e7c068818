import DFMergeBO
import DFMergeCore

extension Search {
  /// The first stage of a trial that is under way.
  struct OpenSubset {
    /// The trial's number, counted from 0.
    let number: Int
    let scores: Scores
    /// Whether the optimiser wants the whole evaluation; nil before it was told the scores.
    var isWorthMore: Bool?
  }

  /// What came of a first stage.
  enum FirstStage {
    /// The whole evaluation is worth its cost.
    case worthMore(Scores)
    /// It is not: the trial ends here.
    case settled(Scores)
    case failed(String)
  }

  /// Scores the candidate in the target on the subset, unless a stopped run has done so already,
  /// and lets the optimiser decide.
  /// - Parameter number: the optimiser's number of the trial.
  func firstStage(
    _ request: TrialRequest, _ number: Int, _ host: any SearchHost
  ) throws(DFMergeError) -> FirstStage {
    if openSubset?.number != request.number {
      switch try scored(host.evaluateSubset, request) {
      case .failure(let reason): return .failed("On the subset: \(reason)")
      case .success(let scores):
        // The journal first: scores that it could not take are asked for again.
        try journal?.append(TrialRecord.subsetEvent(request.number, scores), durably: true)
        openSubset = OpenSubset(number: request.number, scores: scores, isWorthMore: nil)
      }
    }
    guard let open = openSubset else {
      throw DFMergeError(.internalError, "A first stage has no scores; please report this.")
    }
    let start = SearchClock.now()
    defer { clock.trial.optimizer += SearchClock.now() - start }
    let isWorthMore: Bool
    // Each trial's scores are told once, also where the whole evaluation was stopped before.
    if let known = open.isWorthMore {
      isWorthMore = known
    } else {
      isWorthMore = try optimizer.tellSubset(number, scores: open.scores)
      openSubset?.isWorthMore = isWorthMore
    }
    return isWorthMore ? .worthMore(open.scores) : .settled(open.scores)
  }
}
