import DFMergeCore

/// Events of a study's journal:
///   optimizer    once: format, library, options
///   session      each time the journal is opened; not reproduced by a resumed study
///   ask          number, origin, point of the unit cube
///   result       number, state, scores and variances, or the reason of a failure
///   subset       number, scores of the first stage, whether the rest is worth its cost
///   withdraw     number, reason
///   enqueue      points in parameter units, repeats
///   observation  number, values, scores, variances
///   timing       when a trial was asked for or told; not reproduced
extension Study {
  /// Opens the journal, checks that it belongs to this study, and replays it.
  func openJournal(_ path: String) throws(DFMergeError) {
    let journal = try Journal(path: path)
    if let first = journal.events.first {
      try check(first, path: path)
      try replay(journal)
    } else {
      try journal.append(header, durably: true)
    }
    if journal.repairedBytes > 0 {
      warnings.append(
        "The last line of the journal '\(path)' was torn (\(journal.repairedBytes) bytes) and was "
          + "cut off.")
    }
    try journal.append(
      .object([
        "type": .string("session"), "trials": .int(Int64(trials.count)),
        "repaired_bytes": .int(Int64(journal.repairedBytes)),
      ]), durably: false)
    self.journal = journal
  }

  /// Refuses to go on where the journal lacks something that has happened.
  func checkJournal() throws(DFMergeError) {
    guard let journalFailure else { return }
    throw DFMergeError(
      .invalidState,
      "The journal could not be written before, so nothing more is done: make the optimiser again "
        + "with its journal once the cause is gone. The cause: \(journalFailure.message)")
  }

  func write(_ event: StudyEvent) throws(DFMergeError) {
    let durably =
      switch event {
      case .ask, .withdrawal: false
      case .scores, .subset, .failure, .queue, .observation: true
      }
    try append(event.json, durably: durably)
    if case .ask(let suggestion) = event {
      let now = wallClock()
      trials[suggestion.number].asked = now
      try append(timing(suggestion.number, "asked", now), durably: false)
    }
  }

  func writeTold(_ number: Int) throws(DFMergeError) {
    let now = wallClock()
    trials[number].told = now
    try append(timing(number, "told", now), durably: false)
  }

  private func timing(_ number: Int, _ what: String, _ time: Double) -> JSONValue {
    .object(["type": .string("timing"), "number": .int(Int64(number)), what: .double(time)])
  }

  private func append(_ event: JSONValue, durably: Bool) throws(DFMergeError) {
    guard let journal else { return }
    do throws(DFMergeError) {
      try journal.append(event, durably: durably)
    } catch {
      journalFailure = error
      throw error
    }
  }

  private var header: JSONValue {
    .object([
      "type": .string("optimizer"), "format": .int(1), "library": .string(DFMergeVersion.string),
      "options": options.json,
    ])
  }

  private func check(_ found: JSONValue, path: String) throws(DFMergeError) {
    func mismatch(_ what: String, _ old: JSONValue?, _ new: JSONValue?) -> DFMergeError {
      let oldText = (try? old?.text()) ?? "nothing"
      let newText = (try? new?.text()) ?? "nothing"
      return DFMergeError(
        .journalMismatch,
        "The journal '\(path)' belongs to something else: its \(what) is \(oldText), this "
          + "optimiser's is \(newText). Use the same settings to continue it, or choose another "
          + "path.", context: ["path": path])
    }
    let own = header.normalized
    for key in ["type", "format"] where found[key] != own[key] {
      throw mismatch(key == "type" ? "first event" : key, found[key], own[key])
    }
    let old = found["options"]?.objectValue ?? [:]
    let new = own["options"]?.objectValue ?? [:]
    for key in Set(old.keys).union(new.keys).subtracting(StudyOptions.free).sorted()
    where old[key] != new[key] {
      throw mismatch("option '\(key)'", old[key], new[key])
    }
  }

  private func replay(_ journal: Journal) throws(DFMergeError) {
    // A suggestion is made pending with its first stage at once, where one was told later.
    var worthMore: [Int: Scores] = [:]
    for line in journal.events {
      if case .subset(let number, let scores, true)? = StudyEvent(line) {
        worthMore[number] = scores
      }
    }
    for (index, line) in journal.events.enumerated().dropFirst() {
      switch line["type"]?.stringValue {
      case "session": continue
      case "timing":
        guard let number = line["number"]?.intValue, trials.indices.contains(number) else {
          continue
        }
        trials[number].asked = line["asked"]?.doubleValue ?? trials[number].asked
        trials[number].told = line["told"]?.doubleValue ?? trials[number].told
      default:
        let number = line["number"]?.intValue ?? -1
        guard let event = StudyEvent(line), fits(event),
          (try? apply(event, subset: worthMore[number])) != nil
        else {
          throw DFMergeError(
            .journalDamaged,
            "Event \(index + 1) of the journal '\(journal.path)' does not follow from those before "
              + "it or does not fit this optimiser; restore the file or start with a new journal.",
            context: ["path": journal.path, "line": "\(index + 1)"])
        }
      }
    }
    // A killed run may have lost the time of its last ask: its lease begins anew.
    for trial in running where trial.asked == nil { trials[trial.number].asked = wallClock() }
  }

  /// Whether an event's contents can be this study's; the optimiser checks the rest.
  private func fits(_ event: StudyEvent) -> Bool {
    let space = options.space
    switch event {
    case .ask(let suggestion):
      return suggestion.point.count == space.dimension
        && suggestion.point.allSatisfy { (0...1).contains($0) }
    case .scores(let number, _), .failure(let number, _):
      return trials.indices.contains(number) && !trials[number].isTold
    case .subset(let number, let scores, _):
      return trials.indices.contains(number) && trials[number].state == .running
        && trials[number].subset == nil && options.settings.subsetShare != nil
        && scores.values.count == options.objective.taskCount
        && scores.values.allSatisfy(\.isFinite)
    case .withdrawal(let number, _): return trials.indices.contains(number)
    case .queue(let points, _): return points.allSatisfy { space.problem(of: $0) == nil }
    case .observation(_, let values, _): return space.problem(of: values) == nil
    }
  }
}
