import Glibc
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

  @Test func testTargetOfAnotherType_isRefused() throws {
    let fixture = try SearchFixture()
    let journal = TemporaryPath("run.jsonl")
    _ = try fixture.search("{\"trials\":2}").run(journal: journal.path, host: fixture)
    let memory = try AlignedBuffer(byteCount: fixture.target[0].shape.elementCount * 2)
    let half = try Search(
      target: [
        try MutableTensorView(
          name: "w", dtype: .bf16, shape: fixture.target[0].shape, bytes: memory.bytes)
      ], base: fixture.base, models: fixture.models,
      options: try JSONValue(
        parsing: "{\"trials\":2,\"tasks\":[\"a\",\"b\"]}".utf8, what: "options"))
    let error = #expect(throws: DFMergeError.self) {
      try half.run(journal: journal.path, host: fixture)
    }
    #expect(error?.code == .journalMismatch && error?.message.contains("dtypes") == true)
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

  @Test func testFewerTrialsThanTheJournalHas_isSaid() throws {
    let fixture = try SearchFixture()
    let journal = TemporaryPath("run.jsonl")
    _ = try fixture.search(JournalTests.options).run(journal: journal.path, host: fixture)
    let shorter = try fixture.search("{\"trials\":9,\"seed\":9,\"initial\":6}")
    let result = try shorter.run(journal: journal.path, host: fixture)
    #expect(result.trials.count == 14)
    #expect(result.warnings.contains { $0.contains("14 trials, more than the 9") })
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

  @Test(arguments: [
    "", "{\"a\":1}", "{\"a\":1}\n", "notes", "{\"crc\":\"", "{\"crc\":\"12", "\0\0\0",
  ])
  func testFileOfSomethingElse_isNotCutBack(_ content: String) throws {
    let fixture = try SearchFixture()
    let journal = TemporaryPath("run.jsonl")
    journal.write(content.utf8)
    let couldBeTorn = content.allSatisfy { $0 == "\0" } || content.hasPrefix("{\"crc\"")
    do {
      _ = try fixture.search("{\"trials\":1}").run(journal: journal.path, host: fixture)
      #expect(couldBeTorn)
    } catch let error as DFMergeError {
      #expect(error.code == .journalDamaged && !couldBeTorn)
      #expect(journal.bytes == Array(content.utf8))
    }
  }

  @Test(arguments: ["/dev/null", "/dev/zero", "/dev/full", "/tmp"])
  func testDeviceOrFolder_isRefusedWithoutReading(_ path: String) throws {
    let error = #expect(throws: DFMergeError.self) { try Journal(path: path) }
    #expect(error?.code == .ioFailure)
  }

  @Test func testFailedOpening_closesItsDescriptorOnce() throws {
    // A second close would end whatever file has got the same number in between.
    let journal = TemporaryPath("run.jsonl")
    journal.write("{\"crc\":\"damaged\n\n{}\n".utf8)
    errno = 0
    var status: Int32 = 0
    do {
      _ = try Journal(path: journal.path)
    } catch {
      status = errno
    }
    #expect(status != EBADF)
    #expect(throws: DFMergeError.self) { try Journal(path: journal.path) }
  }

  @Test func testRunWithoutAJournal_cannotBeContinuedInOne() throws {
    let fixture = try SearchFixture()
    let journal = TemporaryPath("run.jsonl")
    let search = try fixture.search(JournalTests.options)
    _ = try search.run(journal: nil, host: fixture)
    let error = #expect(throws: DFMergeError.self) {
      try search.run(journal: journal.path, host: fixture)
    }
    #expect(error?.code == .invalidState)
    #expect(journal.bytes.isEmpty)
  }

  @Test(arguments: [0, 1, 8])
  func testRunAgain_withTheSameJournalContinuesIt(_ stop: Int) throws {
    let whole = try JournalTests.uninterrupted()
    let fixture = try SearchFixture()
    let journal = TemporaryPath("run.jsonl")
    let search = try fixture.search(JournalTests.options)
    fixture.beforeEvaluation = { number throws(DFMergeError) in
      if number == stop { throw DFMergeError(.cancelled, "stopped by the test") }
      return true
    }
    for _ in 0..<2 {
      #expect(throws: DFMergeError.self) { try search.run(journal: journal.path, host: fixture) }
    }
    fixture.beforeEvaluation = { _ throws(DFMergeError) in true }
    _ = try search.run(journal: journal.path, host: fixture)
    #expect(journal.reproducibleLines == whole.lines)
    #expect(fixture.merged == whole.merged)
    #expect(fixture.evaluations == 14)
    // Another search's trials, of the same settings, are not taken for this one's.
    let other = try SearchFixture()
    other.beforeEvaluation = { number throws(DFMergeError) in number != 2 }
    let elsewhere = try other.search(JournalTests.options)
    _ = try elsewhere.run(journal: nil, host: other)
    let error = #expect(throws: DFMergeError.self) {
      try elsewhere.run(journal: journal.path, host: other)
    }
    #expect(error?.code == .invalidState)
  }

  /// Lines with a right checksum and a wrong content: each is damage, none is a trap.
  @Test(arguments: [
    ("\"point\":[", "\"point\":[7,"), ("\"number\":0", "\"number\":1e300"),
    ("\"number\":0", "\"number\":-1"), ("\"number\":0", "\"number\":\"0\""),
    ("\"coefficients\":[", "\"coefficients\":[1e300,"), ("\"exponent\":0", "\"exponent\":5"),
    ("\"scores\":[", "\"scores\":[1,"), ("\"state\":\"complete\"", "\"state\":\"failed\""),
    ("\"type\":\"trial\"", "\"type\":\"other\""), ("\"value\":", "\"value\":1e300,\"other\":"),
    ("\"value\":", "\"variance\":-1,\"value\":"),
  ])
  func testHostileContent_isDamage(_ found: String, _ replacement: String) throws {
    let fixture = try SearchFixture()
    let journal = TemporaryPath("run.jsonl")
    _ = try fixture.search("{\"trials\":2}").run(journal: journal.path, host: fixture)
    var bytes: [UInt8] = []
    for line in String(decoding: journal.bytes, as: UTF8.self).split(separator: "\n") {
      var event = String(line.dropFirst(#"{"crc":"00000000","event":"#.count).dropLast())
      if let range = event.firstRange(of: found), !event.contains("\"type\":\"search\"") {
        event.replaceSubrange(range, with: replacement)
      }
      let sum = String(CRC32.of(event.utf8), radix: 16)
      let digits = String(repeating: "0", count: 8 - sum.count) + sum
      bytes += "{\"crc\":\"\(digits)\",\"event\":\(event)}\n".utf8
    }
    journal.write(bytes)
    let resumed = try SearchFixture()
    do {
      let result = try resumed.search("{\"trials\":3}").run(journal: journal.path, host: resumed)
      // A score may be any finite number.
      #expect(replacement.contains("\"value\":1e300") && result.trials.count == 3)
    } catch let error as DFMergeError {
      #expect(error.code == .journalDamaged)
    }
  }
}
