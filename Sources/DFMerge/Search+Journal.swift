import DFMergeBO
import DFMergeCore

/// Events of a search's journal, in the order in which they appear:
///   search    once: format, library, options, models, names of the groups, fingerprint of the
///             weights, and of the target's dtypes
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
    if let first = journal.events.first {
      try check(first, path: path)
      try replay(journal)
    } else {
      // A journal that begins in the middle of a search could never be continued.
      guard trials.isEmpty else { throw Search.ahead(of: path) }
      try journal.append(header, durably: true)
    }
    if journal.repairedBytes > 0 {
      warnings.append(
        "The last line of the journal '\(path)' was torn (\(journal.repairedBytes) bytes) and "
          + "was cut "
          + "off; the trial it belonged to is run again.")
    }
    try journal.append(
      .object([
        "type": .string("session"), "trials": .int(Int64(trials.count)),
        "repaired_bytes": .int(Int64(journal.repairedBytes)),
      ]), durably: false)
    self.journal = journal
  }

  /// Whether `start` is the event of a trial that was begun and not finished.
  func isStarted(_ start: JSONValue) -> Bool {
    let last = journal?.events.last {
      $0["type"] == .string("trial") || $0["type"] == .string("result")
    }
    return last == start.normalized
  }

  private var header: JSONValue {
    .object([
      "type": .string("search"), "format": .int(2), "library": .string(DFMergeVersion.string),
      "options": options.json, "models": .names(models), "groups": .names(groups.names),
      "fingerprint": .string(fingerprint), "target": .string(Fingerprint.of(target: plan)),
    ])
  }

  /// Options that say when a run ends and nothing about its trials.
  private static let endingOptions: Set = ["trials", "max_seconds", "target", "stop_improvement"]

  /// A journal may be continued to another end, and by a later version of the library; everything
  /// else must be equal.
  private func check(_ found: JSONValue, path: String) throws(DFMergeError) {
    func mismatch(_ what: String, _ old: JSONValue?, _ new: JSONValue?) -> DFMergeError {
      let oldText = (try? old?.text()) ?? "nothing"
      let newText = (try? new?.text()) ?? "nothing"
      return DFMergeError(
        .journalMismatch,
        "The journal '\(path)' belongs to another search: its \(what) is \(oldText), this "
          + "search's is "
          + "\(newText). Use the same settings to continue it, or choose another path.",
        context: ["path": path])
    }
    let own = header.normalized
    guard found["type"] == .string("search") else {
      throw mismatch("first event", found["type"], own["type"])
    }
    for key in ["format", "models", "groups", "fingerprint"] where found[key] != own[key] {
      throw mismatch(key == "fingerprint" ? "weights' fingerprint" : key, found[key], own[key])
    }
    if found["target"] != own["target"] {
      throw mismatch(
        "target's names, dtypes and shapes (as a checksum)", found["target"], own["target"])
    }
    let old = found["options"]?.objectValue ?? [:]
    let new = own["options"]?.objectValue ?? [:]
    let keys = Set(old.keys).union(new.keys).subtracting(Search.endingOptions)
    for key in keys.sorted() where old[key] != new[key] {
      throw mismatch("option '\(key)'", old[key], new[key])
    }
  }

  private static func ahead(of path: String) -> DFMergeError {
    DFMergeError(
      .invalidState,
      "This search has run trials that the journal '\(path)' does not hold; continue it with the "
        + "journal of its first run, or make a new search.", context: ["path": path])
  }

  /// Takes over the journal's trials. Those that this search has run itself, before it was stopped,
  /// must be the same.
  private func replay(_ journal: Journal) throws(DFMergeError) {
    var start: JSONValue?
    var subset: Scores?
    var found = 0
    for event in journal.events {
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
          throw DFMergeError(
            .journalDamaged,
            "The result of trial \(found) in the journal '\(journal.path)' does not follow its "
              + "start or does not fit this search; restore the file or start with a new journal.",
            context: ["path": journal.path])
        }
        guard trials[found].point == record.point, trials[found].value == record.value else {
          throw Search.ahead(of: journal.path)
        }
        found += 1
        start = nil
        subset = nil
      default: break
      }
    }
    guard found == trials.count else { throw Search.ahead(of: journal.path) }
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
    guard record.isComplete else { return true }
    let told = TrialRecord.told(record.scores, variances: record.variances)
    guard let own = options.objective.value(told.values, variances: told.variances) else {
      return false
    }
    return own.value == record.value && own.variance == record.variance
  }
}

extension JSONValue {
  /// The value as it reads back from its own text, where 1.0 is the integer 1.
  var normalized: JSONValue {
    guard let text = try? text(), let value = try? JSONValue(parsing: text.utf8, what: "A value")
    else { return self }
    return value
  }
}
