import DFMerge
import DFMergeCore
import DFMergeEngine
import DFMergeRecipes

/// A search over a method's options, or for a soup, whose scores come from a command: suggest, merge
/// into the search's folder, score, tell.
struct OptionSearch {
  /// The merge of a trial's values.
  let candidate: ([Double]) -> MergeStep
  /// What chooses the candidates of a greedy soup; nil for the study's own suggestions.
  let soup: SoupSteps?
  let command: ScoreCommand
  let folder: SearchFolder
  /// Failed trials in a row that end the search; 0 for no such rule.
  let mostFailures: Int
  let study: Study
  let cabinet: WeightsCabinet
  let console: Console

  /// Goes on until the study says that it is enough, or the soup has tried every model.
  /// - Returns: why; nil for a soup that is complete.
  /// - Throws: `.cancelled` after Ctrl-C; `.allTrialsFailed` where `mostFailures` fail; what the
  ///   study and a merge throw that is no matter of one candidate.
  func run() throws(DFMergeError) -> Study.StopReason? {
    let bar = ProgressBar("searching", console)
    defer { bar.clear() }
    var failures = 0
    while true {
      if Interruption.isRequested { throw OptionSearch.stopped }
      if let soup, try soup.state(of: study).next == nil { return nil }
      if let reason = try study.stopReason() { return reason }
      // What an earlier run had begun comes first.
      guard let trial = try nextTrial() else { continue }
      guard let reason = try evaluate(trial, bar) else {
        failures = 0
        continue
      }
      failures += 1
      bar.clear()
      console.warn("trial \(trial.number) failed: \(reason)")
      if mostFailures > 0, failures >= mostFailures {
        throw DFMergeError(
          .allTrialsFailed,
          "\(failures) trials failed in a row, the last one so: \(reason) Correct that and run the same "
            + "command again, which goes on from here.")
      }
    }
  }

  private func nextTrial() throws(DFMergeError) -> StudyTrial? {
    if let begun = study.running.first { return begun }
    // Where a killed run has queued it already, it is skipped.
    if let next = try soup?.state(of: study).next { try study.enqueue([next]) }
    return try study.ask().first
  }

  /// - Returns: why the trial has failed; nil where it has not.
  private func evaluate(_ trial: StudyTrial, _ bar: ProgressBar) throws(DFMergeError) -> String? {
    let total = try min(study.options.trials, soup?.state(of: study).total ?? Int.max)
    let state = "trial \(trial.number + 1) of \(total)\(best)"
    bar.show("\(state): merging")
    do throws(DFMergeError) {
      try merge(trial.values, to: folder.candidate)
    } catch {
      // Coefficients that sum to nothing, results that overflow: of this candidate alone.
      guard error.code == .nonFinite || error.code == .invalidOption else { throw error }
      try study.tellFailed(trial.number, reason: error.message)
      return error.message
    }
    let log = folder.log(trial.number)
    var shown = -1
    let outcome = try command.run(
      model: folder.candidate, variables: try variables(trial), log: log,
      waiting: { seconds in
        if Int(seconds) != shown { bar.show("\(state): scoring, \(Figures.clock(seconds))") }
        shown = Int(seconds)
      })
    let reason: String
    switch outcome {
    case .failed(let why): reason = "\(why); see \(log)."
    case .output(let text):
      do throws(DFMergeError) {
        if let scores = try ScoreOutput.scores(text, tasks: study.options.objective.tasks) {
          try study.tell(trial.number, scores: scores)
          return nil
        }
        reason = "The command printed null as a score."
      } catch {
        guard error.code == .invalidFormat else { throw error }
        reason = "\(error.message) Its standard error is in \(log)."
      }
    }
    try study.tellFailed(trial.number, reason: reason)
    return reason
  }

  /// Merges with the options at a point.
  @discardableResult
  func merge(
    _ values: [Double], to path: String, progress: (Int, Int) -> Void = { _, _ in }
  ) throws(DFMergeError) -> MergeReport {
    try cabinet.merge(candidate(values)).run(
      to: .path(path),
      progress: { (done, total) throws(DFMergeError) in
        progress(done, total)
        return true
      }, cancelled: { Interruption.isRequested })
  }

  /// Makes the output of the best trial's values, and takes the candidate away.
  func finish(_ values: [Double], at out: String) throws(DFMergeError) -> MergeReport {
    let bar = ProgressBar("merging the best", console)
    defer { bar.clear() }
    let report = try merge(values, to: out, progress: { bar.update($0, of: $1) })
    folder.clear()
    return report
  }

  private func variables(_ trial: StudyTrial) throws(DFMergeError) -> [String: String] {
    let parameters = Dictionary(
      zip(study.options.names, trial.values.map(JSONValue.double))
    ) { first, _ in first }
    return [
      "DFMERGE_MODEL": folder.candidate, "DFMERGE_TRIAL": String(trial.number),
      "DFMERGE_PARAMETERS": try JSONValue.object(parameters).text(),
    ]
  }

  private var best: String {
    let values = study.trials.compactMap(\.value)
    return values.max().map { ", best \(Figures.short($0))" } ?? ""
  }

  static let stopped = DFMergeError(
    .cancelled, "The search was stopped; the same command goes on from here.")
}
