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
    if try journal.claim(for: owner, isAhead: false) { try replay(journal) }
    if let warning = try journal.beginSession(trials: trials.count) { warnings.append(warning) }
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

  private var owner: JournalOwner {
    JournalOwner(
      noun: "an optimiser",
      header: .object([
        "type": .string("optimizer"), "format": .int(1), "library": .string(DFMergeVersion.string),
        "options": options.json,
      ]),
      members: [("format", "format")], freeOptions: StudyOptions.free)
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
          throw journal.inconsistency("Event \(index + 1)", line: index + 1)
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
