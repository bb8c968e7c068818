import Testing

@testable import DFMerge
@testable import DFMergeCore

@Suite struct JournalTests {
  static let options = "{\"trials\":14,\"seed\":9,\"initial\":6}"

  /// The journal and the merged weights of a run that was never stopped.
  static func uninterrupted() throws -> (lines: [String], merged: [Float]) {
    let fixture = try SearchFixture()
    let journal = TemporaryPath("run.jsonl")
    _ = try fixture.search(options).run(journal: journal.path, host: fixture)
    return (journal.reproducibleLines, fixture.merged)
  }

  @Test(arguments: 0..<14)
  func testResume_afterAStopAtAnyTrialGivesTheSameTrialsAndBytes(_ stop: Int) throws {
    let whole = try JournalTests.uninterrupted()
    let journal = TemporaryPath("run.jsonl")
    let first = try SearchFixture()
    first.beforeEvaluation = { number throws(DFMergeError) in
      if number == stop { throw DFMergeError(.cancelled, "stopped by the test") }
      return true
    }
    #expect(throws: DFMergeError.self) {
      try first.search(JournalTests.options).run(journal: journal.path, host: first)
    }
    let second = try SearchFixture()
    _ = try second.search(JournalTests.options).run(journal: journal.path, host: second)
    #expect(journal.reproducibleLines == whole.lines)
    #expect(second.merged == whole.merged)
    #expect(second.evaluations == 14 - stop)
  }

  @Test func testTornTail_atEveryByteOfTheLastLinesIsRepaired() throws {
    let fixture = try SearchFixture()
    let journal = TemporaryPath("run.jsonl")
    _ = try fixture.search(JournalTests.options).run(journal: journal.path, host: fixture)
    let bytes = journal.bytes
    let whole = journal.reproducibleLines
    for cut in stride(from: bytes.count - 1, to: bytes.count - 900, by: -7) {
      journal.write(bytes[..<cut])
      let resumed = try SearchFixture()
      let search = try resumed.search(JournalTests.options)
      _ = try search.run(journal: journal.path, host: resumed)
      let torn = bytes[cut - 1] != UInt8(ascii: "\n")
      #expect(search.warnings.isEmpty != torn)
      // A "best" line that was whole stands once more after the resumed end.
      let lines = journal.reproducibleLines
      #expect(Array(lines.prefix(whole.count)) == whole)
      #expect(lines.dropFirst(whole.count).allSatisfy { $0 == whole.last })
    }
  }

  @Test(arguments: ["{}", "{\"model_type\": \"bert\"}\n", "notes"])
  func testAnotherFile_isRefusedAndLeftAsItIs(_ text: String) throws {
    let fixture = try SearchFixture()
    let journal = TemporaryPath("config.json")
    journal.write(Array(text.utf8)[...])
    let error = #expect(throws: DFMergeError.self) {
      try fixture.search(JournalTests.options).run(journal: journal.path, host: fixture)
    }
    #expect(error?.code == .journalDamaged)
    #expect(journal.bytes == Array(text.utf8))
  }

  @Test func testDamageBeforeTheLastLine_isAnError() throws {
    let fixture = try SearchFixture()
    let journal = TemporaryPath("run.jsonl")
    _ = try fixture.search(JournalTests.options).run(journal: journal.path, host: fixture)
    var bytes = journal.bytes
    bytes[bytes.count / 2] ^= 1
    journal.write(bytes)
    let error = #expect(throws: DFMergeError.self) {
      try fixture.search(JournalTests.options).run(journal: journal.path, host: fixture)
    }
    #expect(error?.code == .journalDamaged)
    // The damaged file is evidence: it must not have been touched.
    #expect(journal.bytes == bytes)
  }

  @Test(arguments: [
    ("{\"trials\":14,\"seed\":10,\"initial\":6}", "seed"),
    ("{\"trials\":14,\"seed\":9,\"initial\":5}", "initial"),
    ("{\"trials\":14,\"seed\":9,\"initial\":6,\"tasks\":[\"b\",\"a\"]}", "tasks"),
  ])
  func testAnotherSearch_isRefusedByTheOptionThatDiffers(
    _ options: String, _ option: String
  ) throws {
    let fixture = try SearchFixture()
    let journal = TemporaryPath("run.jsonl")
    _ = try fixture.search(JournalTests.options).run(journal: journal.path, host: fixture)
    let before = journal.bytes
    let error = #expect(throws: DFMergeError.self) {
      try fixture.search(options).run(journal: journal.path, host: fixture)
    }
    #expect(error?.code == .journalMismatch)
    #expect(error?.message.contains("option '\(option)'") == true)
    #expect(journal.bytes == before)
  }

  @Test func testOtherWeights_areRefused() throws {
    let fixture = try SearchFixture()
    let journal = TemporaryPath("run.jsonl")
    _ = try fixture.search(JournalTests.options).run(journal: journal.path, host: fixture)
    let swapped = try Search(
      target: fixture.target, base: fixture.models[0].weights,
      models: [("a", fixture.base), fixture.models[1]],
      options: try JSONValue(
        parsing: "{\"trials\":14,\"seed\":9,\"initial\":6,\"tasks\":[\"a\",\"b\"]}".utf8, what: "o")
    )
    let error = #expect(throws: DFMergeError.self) {
      try swapped.run(journal: journal.path, host: fixture)
    }
    #expect(error?.message.contains("fingerprint") == true)
  }

  @Test func testThreads_changeNeitherJournalNorBytes() throws {
    var lines: [[String]] = []
    var merged: [[Float]] = []
    for threads in 1...3 {
      let fixture = try SearchFixture()
      let journal = TemporaryPath("run.jsonl")
      _ = try fixture.search("{\"trials\":12,\"threads\":\(threads)}")
        .run(journal: journal.path, host: fixture)
      lines.append(journal.reproducibleLines)
      merged.append(fixture.merged)
    }
    #expect(lines[0] == lines[1] && lines[1] == lines[2])
    #expect(merged[0] == merged[1] && merged[1] == merged[2])
  }

  @Test func testMoreTrials_continueAFinishedSearchLikeALongerOne() throws {
    let fixture = try SearchFixture()
    let journal = TemporaryPath("run.jsonl")
    _ = try fixture.search("{\"trials\":9,\"seed\":9,\"initial\":6}")
      .run(journal: journal.path, host: fixture)
    let resumed = try SearchFixture()
    let longer = try resumed.search(JournalTests.options)
      .run(journal: journal.path, host: resumed)
    let fresh = try SearchFixture()
    let whole = try fresh.search(JournalTests.options).run(journal: nil, host: fresh)
    #expect(longer.trials.map(\.point) == whole.trials.map(\.point))
    #expect(resumed.merged == fresh.merged)
  }

  @Test func testOneJournal_isHeldByOneSearch() throws {
    let fixture = try SearchFixture()
    let journal = TemporaryPath("run.jsonl")
    let held = try Journal(path: journal.path)
    let error = #expect(throws: DFMergeError.self) {
      try fixture.search(JournalTests.options).run(journal: held.path, host: fixture)
    }
    #expect(error?.code == .fileLocked)
  }

  @Test func testUnwritablePath_isAnErrorThatNamesIt() throws {
    let fixture = try SearchFixture()
    let error = #expect(throws: DFMergeError.self) {
      try fixture.search().run(journal: "/nowhere/at/all.jsonl", host: fixture)
    }
    #expect(error?.code == .ioFailure)
    #expect(error?.message.contains("/nowhere/at/all.jsonl") == true)
  }
}
