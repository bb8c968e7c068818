import DFMergeCore

/// Whom a journal belongs to: what its first event says, and how messages call its parts.
struct JournalOwner {
  /// As messages call it: "a search", "an optimiser".
  let noun: String
  /// The first event of the journal. Its "options" are compared one by one.
  let header: JSONValue
  /// Members of the header that must agree, in the order in which they are checked, and what
  /// messages call them.
  let members: [(key: String, name: String)]
  /// Options that say when a run ends and nothing about its trials: they may differ.
  let freeOptions: Set<String>

  /// The nouns by the type of a journal's first event.
  private static let nouns = ["search": "a search", "optimizer": "an optimiser"]

  /// Whether `found`, the first event of the journal at `path`, is this owner's. A journal may be
  /// continued to another end, and by a later version of the library.
  /// - Throws: `.journalMismatch` with the first thing that differs.
  func check(_ found: JSONValue, path: String) throws(DFMergeError) {
    let own = header.normalized
    guard found["type"] == own["type"] else {
      let other = JournalOwner.nouns[found["type"]?.stringValue ?? ""] ?? "something else"
      throw DFMergeError(
        .journalMismatch,
        "The journal '\(path)' is that of \(other), not of \(noun); choose another path.",
        context: ["path": path])
    }
    for member in members where found[member.key] != own[member.key] {
      throw mismatch(member.name, found[member.key], own[member.key], path)
    }
    let old = found["options"]?.objectValue ?? [:]
    let new = own["options"]?.objectValue ?? [:]
    for key in Set(old.keys).union(new.keys).subtracting(freeOptions).sorted()
    where old[key] != new[key] {
      throw mismatch("option '\(key)'", old[key], new[key], path)
    }
  }

  private func mismatch(
    _ what: String, _ old: JSONValue?, _ new: JSONValue?, _ path: String
  ) -> DFMergeError {
    let oldText = old?.shown ?? "nothing"
    let newText = new?.shown ?? "nothing"
    return DFMergeError(
      .journalMismatch,
      "The journal '\(path)' belongs to \(noun) with other settings: its \(what) is \(oldText), "
        + "here it is \(newText). Use the same settings to continue it, or choose another path.",
      context: ["path": path])
  }
}

extension Journal {
  /// Checks that the journal is `owner`'s, or makes it so where it is new.
  /// - Parameter isAhead: whether trials have been run that a new journal would lack; it could
  ///   never be continued.
  /// - Returns: whether there is something to take over.
  /// - Throws: `.journalMismatch`, `.invalidState` (ahead), `.ioFailure`.
  func claim(for owner: JournalOwner, isAhead: Bool) throws(DFMergeError) -> Bool {
    if let first = events.first {
      try owner.check(first, path: path)
      return true
    }
    guard !isAhead else { throw missingTrials() }
    try append(owner.header, durably: true)
    return false
  }

  /// Notes that the journal goes on, `trials` being known from it.
  /// - Returns: what the user should know of its last line; nil where that was whole.
  func beginSession(trials: Int) throws(DFMergeError) -> String? {
    try append(
      .object([
        "type": .string("session"), "trials": .int(Int64(trials)),
        "repaired_bytes": .int(Int64(repairedBytes)),
      ]), durably: false)
    guard repairedBytes > 0 else { return nil }
    return "The last line of the journal '\(path)' was torn (\(repairedBytes) bytes) and was cut "
      + "off; what it said is done again."
  }

  /// The error for a run that the journal does not hold.
  func missingTrials() -> DFMergeError {
    DFMergeError(
      .invalidState,
      "Trials have been run that the journal '\(path)' does not hold; continue them with the "
        + "journal of their first run, or begin anew.", context: ["path": path])
  }

  /// The error for events that are whole but cannot have been written in this order.
  func inconsistency(_ what: String, line: Int) -> DFMergeError {
    DFMergeError(
      .journalDamaged,
      "\(what) in the journal '\(path)' does not follow from what stands before it, or does not "
        + "fit these settings; restore the file or start with a new journal.",
      context: ["path": path, "line": "\(line)"])
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
