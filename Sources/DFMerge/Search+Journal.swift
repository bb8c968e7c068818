import DFMergeBO
import DFMergeCore

/// Events of a search's journal, in the order in which they appear:
///   search    once: format, library, strategy (of a greedy soup), options, models, names of the
///             groups, fingerprint of the weights, and of the target's dtypes
///   session   each time the journal is opened; not reproduced by a resumed run
///   trial     before an evaluation: number, origin, point, coefficients, exponent, and what the
///             stopping rule found
///   subset    after a first stage: number, scores, variances
///   result    after a trial: state, value, variance, scores, variances, or the reason of a failure
///   timing    seconds of a trial, or of the whole run; not reproduced
///   best      at the end: the chosen trial, and why the run ended
extension Search {
  /// Opens the journal, checks that it belongs to this search, and takes over its finished trials.
  func openJournal(_ path: String) throws(DFMergeError) {
    let journal = try Journal(path: path)
    if try journal.claim(for: owner, isAhead: !trials.isEmpty) { try replay(journal) }
    if let warning = try journal.beginSession(trials: trials.count) { warnings.append(warning) }
    self.journal = journal
  }

  /// Whether `start` is the event of a trial that was begun and not finished.
  func isStarted(_ start: JSONValue) -> Bool {
    let last = journal?.events.last {
      $0["type"] == .string("trial") || $0["type"] == .string("result")
    }
    return last == start.normalized
  }

  private var owner: JournalOwner {
    var own = options.json.objectValue ?? [:]
    // A member of its own, and only where it is no Bayesian optimisation: as journals always were.
    let strategy = own.removeValue(forKey: "strategy")
    var header: [String: JSONValue] = [
      "type": .string("search"), "format": .int(2), "library": .string(DFMergeVersion.string),
      "options": .object(own), "models": .names(models), "parameters": .names(parameters),
      "groups": .names(groups.names),
      "fingerprint": .string(fingerprint), "target": .string(Fingerprint.of(target: plan)),
    ]
    if options.strategy != .bayesian { header["strategy"] = strategy }
    return JournalOwner(
      noun: "a search", header: .object(header),
      members: [
        ("format", "format"), ("strategy", "strategy"), ("models", "models"), ("groups", "groups"),
        ("fingerprint", "weights' fingerprint"),
        ("target", "target's names, dtypes and shapes (as a checksum)"),
      ],
      freeOptions: ["trials", "max_seconds", "target", "stop_improvement"])
  }

  /// Takes over the journal's trials. Those that this search has run itself, before it was stopped,
  /// must be the same.
  private func replay(_ journal: Journal) throws(DFMergeError) {
    var start: JSONValue?
    var subset: Scores?
    var found = 0
    for (index, event) in journal.events.enumerated() {
      switch event["type"]?.stringValue {
      case "trial":
        start = event
        subset = nil
        stopping.see(
          event["improvement"]?.doubleValue, before: found, limit: options.stopImprovement)
      case "subset":
        if event["number"]?.intValue == found { subset = TrialRecord.scores(of: event) }
      case "result":
        guard let begun = start,
          let record = TrialRecord(start: begun, subset: subset, result: event),
          record.number == found, fits(record),
          found < trials.count || (try? take(record)) != nil
        else {
          throw journal.inconsistency("The result of trial \(found)", line: index + 1)
        }
        guard trials[found].point == record.point, trials[found].value == record.value else {
          throw journal.missingTrials()
        }
        found += 1
        start = nil
        subset = nil
      default: break
      }
    }
    guard found == trials.count else { throw journal.missingTrials() }
    if let subset, openSubset?.number != found, subset.values.count == options.tasks.count {
      openSubset = OpenSubset(number: found, scores: subset, isWorthMore: nil)
    }
    if cost >= Double(options.trials) + 1 {
      warnings.append(
        "The journal '\(journal.path)' has \(found) trials, more than the \(options.trials) asked "
          + "for; all of them count.")
    }
  }
}

extension Search {
  /// Whether a record can be the next trial of this search; the optimiser checks the rest.
  private func fits(_ record: TrialRecord) -> Bool {
    let coefficients = record.candidate.coefficients
    guard coefficients.count == space.bounds.count,
      zip(space.bounds, coefficients).allSatisfy({ $0.contains($1) }),
      (0...1).contains(record.candidate.exponent),
      record.subset.map({ $0.values.count == options.tasks.count }) ?? true
    else { return false }
    // A soup's trials follow from each other.
    if let soup, record.number == trials.count {
      guard record.point == soup.next, record.candidate == space.candidate(at: record.point) else {
        return false
      }
    }
    guard record.isComplete else { return true }
    let told = TrialRecord.told(record.scores, variances: record.variances)
    guard let own = options.objective.value(told.values, variances: told.variances) else {
      return false
    }
    return own.value == record.value && own.variance == record.variance
  }
}
