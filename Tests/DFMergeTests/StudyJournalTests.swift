import Testing

@testable import DFMerge
@testable import DFMergeCore

@Suite struct StudyJournalTests {
  /// The journal of the whole script, run without a stop.
  private static let whole = Result { try uninterrupted() }

  private static func uninterrupted() throws -> [String] {
    let journal = TemporaryPath("run.jsonl")
    let study = try StudyFixture.study(StudyFixture.options, journal: journal)
    for call in StudyFixture.script { try call(study) }
    return journal.reproducibleLines
  }

  @Test(arguments: 0...StudyFixture.script.count)
  func testResume_afterAnyCallGoesOnBitForBit(_ stop: Int) throws {
    let journal = TemporaryPath("run.jsonl")
    var before: [StudyTrial] = []
    do {
      let study = try StudyFixture.study(StudyFixture.options, journal: journal)
      for call in StudyFixture.script[..<stop] { try call(study) }
      before = study.trials
    }
    let study = try StudyFixture.study(StudyFixture.options, journal: journal)
    let isKept = study.trials == before
    #expect(isKept && study.warnings.isEmpty)
    for call in StudyFixture.script[stop...] { try call(study) }
    // A comparison by itself: what differs would fill pages.
    let isEqual = journal.reproducibleLines == (try StudyJournalTests.whole.get())
    #expect(isEqual)
  }

  @Test(arguments: 0...StudyFixture.stagedScript.count)
  func testResume_ofTwoStagesGoesOnBitForBit(_ stop: Int) throws {
    let whole = TemporaryPath("whole.jsonl")
    let uninterrupted = try StudyFixture.study(StudyFixture.stagedOptions, journal: whole)
    for call in StudyFixture.stagedScript { try call(uninterrupted) }
    let journal = TemporaryPath("run.jsonl")
    do {
      let study = try StudyFixture.study(StudyFixture.stagedOptions, journal: journal)
      for call in StudyFixture.stagedScript[..<stop] { try call(study) }
    }
    let study = try StudyFixture.study(StudyFixture.stagedOptions, journal: journal)
    for call in StudyFixture.stagedScript[stop...] { try call(study) }
    let isEqual = journal.reproducibleLines == whole.reproducibleLines
    #expect(isEqual)
    #expect(study.cost == uninterrupted.cost)
    let states = Set(study.trials.map(\.state))
    #expect(states.contains(.subset) && states.contains(.complete))
  }

  @Test func testResume_betweenTheStagesKeepsTheFirst() throws {
    let journal = TemporaryPath("run.jsonl")
    let options = StudyFixture.stagedOptions
    do {
      let study = try StudyFixture.study(options, journal: journal)
      _ = try study.ask()
      #expect(try study.tellSubset(0, value: 0.5))
      #expect(study.cost == 0.25)
    }
    let study = try StudyFixture.study(options, journal: journal)
    #expect(study.cost == 0.25 && study.trials[0].subset?.values == [0.5])
    let error = #expect(throws: DFMergeError.self) { try study.tellSubset(0, value: 0.5) }
    #expect(error?.code == .invalidState)
    try study.tell(0, value: 0.6)
    #expect(study.cost == 1 && study.trials[0].value == 0.6)
  }

  @Test func testResume_doesNotBringBackAQueuedPointThatWasSkipped() throws {
    let journal = TemporaryPath("run.jsonl")
    let options = #"{"parameters":[{"name":"a","low":0,"high":1},{"name":"b","low":0,"high":1}]}"#
    var values: [Double] = []
    do {
      let study = try StudyFixture.study(options, journal: journal)
      values = try study.ask()[0].values
      // It is out already, so the next ask drops it from the queue.
      try study.enqueue([values])
      _ = try study.ask()
      try study.withdraw(0)
    }
    let next = try StudyFixture.study(options, journal: journal).ask()[0]
    #expect(next.values == values && next.origin == .initial)
  }

  @Test func testResume_givesTheSameModelAndResult() throws {
    let journal = TemporaryPath("run.jsonl")
    var first: JSONValue = .null
    do {
      let study = try StudyFixture.study(StudyFixture.options, journal: journal)
      for call in StudyFixture.script { try call(study) }
      first = try study.resultJSON()
    }
    let second = try StudyFixture.study(StudyFixture.options, journal: journal).resultJSON()
    for key in ["trials", "running", "withdrawn", "best", "slices", "importance", "cost"] {
      #expect(first[key] == second[key], "\(key)")
    }
  }

  @Test func testTornTail_isCutOffAndTheRestKept() throws {
    let journal = TemporaryPath("run.jsonl")
    do {
      let study = try StudyFixture.study(StudyFixture.options, journal: journal)
      for call in StudyFixture.script { try call(study) }
    }
    let bytes = journal.bytes
    let whole = journal.reproducibleLines
    for cut in stride(from: bytes.count - 1, to: bytes.count - 700, by: -7) {
      journal.write(bytes[..<cut])
      let study = try StudyFixture.study(StudyFixture.options, journal: journal)
      let torn = bytes[cut - 1] != UInt8(ascii: "\n")
      #expect(study.warnings.isEmpty != torn)
      let kept = journal.reproducibleLines
      let isPrefix = kept == Array(whole.prefix(kept.count))
      #expect(isPrefix && kept.count + 5 >= whole.count)
      // What the last call of the script was to write is written again.
      if study.trials.count > 12, study.trials[11].isTold {
        while study.trials.count < 15 { _ = try study.ask() }
        let isEqual = journal.reproducibleLines == whole
        #expect(isEqual)
      }
    }
  }

  @Test(arguments: [
    (#"{"initial":6,"seed":7}"#, "option 'initial'"), (#"{"initial":5}"#, "option 'seed'"),
    (#"{"initial":5,"seed":7,"tasks":["b"]}"#, "option 'tasks'"),
    (
      #"{"initial":5,"seed":7,"parameters":[{"name":"x","low":-1,"high":1}]}"#,
      "option 'parameters'"
    ),
  ])
  func testOtherOptions_areRefusedByName(_ options: String, _ named: String) throws {
    let journal = TemporaryPath("run.jsonl")
    _ = try StudyFixture.study(StudyFixture.options, journal: journal).ask()
    let before = journal.bytes
    let error = #expect(throws: DFMergeError.self) {
      try StudyFixture.study(options, journal: journal)
    }
    #expect(error?.code == .journalMismatch && error?.message.contains(named) == true)
    #expect(journal.bytes == before)
  }

  @Test func testFreeOptions_mayChange() throws {
    let journal = TemporaryPath("run.jsonl")
    _ = try StudyFixture.study(StudyFixture.options, journal: journal).ask()
    let study = try StudyFixture.study(
      #"{"initial":5,"seed":7,"trials":9,"target":1,"max_seconds":5,"best_by":"observed","#
        + #""lease_seconds":5,"stop_improvement":0.1}"#, journal: journal)
    #expect(study.running.count == 1)
  }

  @Test func testJournal_ofASearchIsRefused() throws {
    let journal = TemporaryPath("run.jsonl")
    let fixture = try SearchFixture()
    _ = try fixture.search(#"{"trials":2}"#).run(journal: journal.path, host: fixture)
    let error = #expect(throws: DFMergeError.self) { try StudyFixture.study(journal: journal) }
    #expect(error?.code == .journalMismatch)
    #expect(error?.message.contains("is that of a search, not of an optimiser") == true)
    let other = TemporaryPath("other.jsonl")
    _ = try StudyFixture.study(journal: other).ask()
    let second = #expect(throws: DFMergeError.self) {
      try fixture.search(#"{"trials":2}"#).run(journal: other.path, host: fixture)
    }
    #expect(second?.code == .journalMismatch)
    #expect(second?.message.contains("is that of an optimiser, not of a search") == true)
  }

  @Test func testJournal_isLockedWhileOpen() throws {
    let journal = TemporaryPath("run.jsonl")
    let study = try StudyFixture.study(journal: journal)
    let error = #expect(throws: DFMergeError.self) { try StudyFixture.study(journal: journal) }
    #expect(error?.code == .fileLocked && study.trials.isEmpty)
  }

  /// Lines with a right checksum and a wrong content: each is damage, none is a trap.
  @Test(arguments: [
    ("\"point\":[", "\"point\":[7,"), ("\"point\":[", "\"point\":[\"a\","),
    ("\"number\":0", "\"number\":1e300"), ("\"number\":0", "\"number\":-1"),
    ("\"number\":0", "\"number\":\"0\""), ("\"number\":2", "\"number\":40"),
    ("\"scores\":[", "\"scores\":[1,"), ("\"variances\":[", "\"variances\":[1,2,"),
    ("\"type\":\"ask\"", "\"type\":\"other\""), ("\"origin\":\"", "\"origin\":\"else"),
    ("\"points\":[[", "\"points\":[[9,"), ("\"repeats\":", "\"repeats\":1,\"was\":"),
    ("\"values\":[", "\"values\":[3,"), ("\"scores\":[", "\"scores\":null,\"was\":["),
  ])
  func testHostileContent_isDamage(_ found: String, _ replacement: String) throws {
    let journal = TemporaryPath("run.jsonl")
    do {
      let study = try StudyFixture.study(StudyFixture.options, journal: journal)
      for call in StudyFixture.script { try call(study) }
    }
    var bytes: [UInt8] = []
    var changed = 0
    for line in String(decoding: journal.bytes, as: UTF8.self).split(separator: "\n") {
      var event = String(line.dropFirst(#"{"crc":"00000000","event":"#.count).dropLast())
      if let range = event.firstRange(of: found), !event.contains("\"type\":\"optimizer\""),
        !event.contains("\"type\":\"timing\"")
      {
        event.replaceSubrange(range, with: replacement)
        changed += 1
      }
      let sum = String(CRC32.of(event.utf8), radix: 16)
      let digits = String(repeating: "0", count: 8 - sum.count) + sum
      bytes += "{\"crc\":\"\(digits)\",\"event\":\(event)}\n".utf8
    }
    #expect(changed > 0)
    journal.write(bytes)
    let error = #expect(throws: DFMergeError.self) {
      try StudyFixture.study(StudyFixture.options, journal: journal)
    }
    #expect(error?.code == .journalDamaged)
  }
}
