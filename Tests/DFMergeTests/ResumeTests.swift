import Testing

@testable import DFMerge
@testable import DFMergeCore

/// A stopped search goes on as if it had not been, whatever its options.
@Suite struct ResumeTests {
  static let variants = [
    "{\"trials\":8,\"seed\":9,\"initial\":4,\"subset_share\":0.3}",
    """
    {"trials":9,"seed":9,"initial":4,"singles":true,
     "enqueue":[{"coefficients":[0.7,0.1],"exponent":0},{"a":0.4,"b":0.3,"exponent":0.5}],
     "observations":[\(SearchBeginningTests.observation),
     {"a":0.1,"b":0.9,"exponent":0.3,"scores":[0.2,0.1],"variances":[null,1e-4]}]}
    """,
    "{\"trials\":8,\"seed\":9,\"initial\":4,\"floors\":{\"a\":0.9},\"stop_improvement\":1e-4}",
    "{\"trials\":14,\"seed\":9,\"initial\":4,\"stop_improvement\":0.03,\"target\":0.949}",
    """
    {"trials":7,"seed":9,"initial":3,"subset_share":0.5,"aggregate":"minimum","floors":{"b":0.5},
     "observations":[\(SearchBeginningTests.observation)]}
    """,
    "{\"trials\":7,\"seed\":9,\"initial\":4,\"modelling\":\"tasks\",\"aggregate\":\"minimum\"}",
  ]

  struct Whole {
    let lines: [String]
    let merged: [Float]
    let trials: Int
    let evaluations: Int
    let subsets: Int
  }

  static func whole(_ options: String) throws -> Whole {
    let fixture = try SearchFixture()
    let journal = TemporaryPath("run.jsonl")
    let result = try fixture.search(options).run(journal: journal.path, host: fixture)
    return Whole(
      lines: journal.reproducibleLines, merged: fixture.merged, trials: result.trials.count,
      evaluations: fixture.evaluations, subsets: fixture.subsets)
  }

  private static func stopped(_ number: Int, _ at: Int) throws(DFMergeError) -> Bool {
    if number == at { throw DFMergeError(.cancelled, "stopped by the test") }
    return true
  }

  @Test(arguments: variants.indices)
  func testStop_atAnyCallGivesTheSameJournalAndBytes(_ variant: Int) throws {
    let options = ResumeTests.variants[variant]
    let whole = try ResumeTests.whole(options)
    // The start, and every other trial after it.
    for stop in [0] + Array(stride(from: 3, to: whole.trials, by: 2)) {
      for stage in whole.subsets > 0 ? ["subset", "whole"] : ["whole"] {
        let journal = TemporaryPath("run.jsonl")
        let first = try SearchFixture()
        if stage == "subset" {
          first.beforeSubset = { number throws(DFMergeError) in
            try ResumeTests.stopped(number, stop)
          }
        } else {
          first.beforeEvaluation = { number throws(DFMergeError) in
            try ResumeTests.stopped(number, stop)
          }
        }
        // A trial that ends after its first stage has no whole evaluation to be stopped in.
        _ = try? first.search(options).run(journal: journal.path, host: first)
        let second = try SearchFixture()
        _ = try second.search(options).run(journal: journal.path, host: second)
        let lines = journal.reproducibleLines
        #expect(Array(lines.prefix(whole.lines.count)) == whole.lines)
        #expect(lines.dropFirst(whole.lines.count).allSatisfy { $0 == whole.lines.last })
        #expect(second.merged == whole.merged)
        // Nothing was scored twice, on the subset neither.
        #expect(first.evaluations + second.evaluations == whole.evaluations)
        #expect(first.subsets + second.subsets == whole.subsets)
      }
    }
  }

  @Test(arguments: variants.indices)
  func testRunAgain_ofTheSameSearchGoesOn(_ variant: Int) throws {
    let options = ResumeTests.variants[variant]
    let whole = try ResumeTests.whole(options)
    for hasJournal in [true, false] {
      let fixture = try SearchFixture()
      let journal = TemporaryPath("run.jsonl")
      let search = try fixture.search(options)
      var calls = 0
      // Every call is stopped once: each stage of each trial.
      let once: (Int) throws(DFMergeError) -> Bool = { _ throws(DFMergeError) in
        calls += 1
        if calls % 2 == 1 { throw DFMergeError(.cancelled, "stopped by the test") }
        return true
      }
      fixture.beforeEvaluation = once
      fixture.beforeSubset = once
      var result: SearchResult?
      for _ in 0..<4 * whole.trials + 4 where result == nil {
        result = try? search.run(journal: hasJournal ? journal.path : nil, host: fixture)
      }
      #expect(result?.trials.count == whole.trials)
      #expect(fixture.merged == whole.merged)
      #expect(!hasJournal || journal.reproducibleLines == whole.lines)
      #expect(fixture.evaluations == whole.evaluations && fixture.subsets == whole.subsets)
    }
  }

  @Test func testTornTail_withFirstStagesIsRepaired() throws {
    let options = ResumeTests.variants[0]
    let fixture = try SearchFixture()
    let journal = TemporaryPath("run.jsonl")
    _ = try fixture.search(options).run(journal: journal.path, host: fixture)
    let (bytes, whole) = (journal.bytes, journal.reproducibleLines)
    for cut in stride(from: bytes.count - 1, to: bytes.count - 2500, by: -211) {
      journal.write(bytes[..<cut])
      let resumed = try SearchFixture()
      _ = try resumed.search(options).run(journal: journal.path, host: resumed)
      let lines = journal.reproducibleLines
      #expect(Array(lines.prefix(whole.count)) == whole)
      #expect(lines.dropFirst(whole.count).allSatisfy { $0 == whole.last })
    }
  }

  @Test func testGroups_stoppedAndResumed() throws {
    let options =
      "{\"trials\":12,\"initial\":4,\"groups\":\"layers:2\",\"nodes\":3,\"seed\":1,\"threads\":2}"
    let fixture = try GroupedFixture()
    let journal = TemporaryPath("run.jsonl")
    let whole = try fixture.search(options).run(journal: journal.path, host: fixture)
    let lines = journal.reproducibleLines
    let merged = GroupedFixture.sizes.indices.map(fixture.merged)
    // A journal cut after any number of its lines is what a kill leaves.
    let bytes = journal.bytes
    let ends = bytes.indices.filter { bytes[$0] == UInt8(ascii: "\n") }
    for end in stride(from: 1, to: ends.count, by: 5) {
      let cut = TemporaryPath("run.jsonl")
      cut.write(bytes[...ends[end]])
      let resumed = try GroupedFixture()
      let result = try resumed.search(options).run(journal: cut.path, host: resumed)
      #expect(result.trials.map(\.point) == whole.trials.map(\.point))
      #expect(Array(cut.reproducibleLines.prefix(lines.count)) == lines)
      #expect(GroupedFixture.sizes.indices.map(resumed.merged) == merged)
    }
    // Other groups are another search.
    let other = try fixture.search(
      "{\"trials\":12,\"initial\":4,\"groups\":\"layers:1\",\"nodes\":3,\"seed\":1}")
    let error = #expect(throws: DFMergeError.self) {
      try other.run(journal: journal.path, host: fixture)
    }
    #expect(error?.code == .journalMismatch && error?.message.contains("groups") == true)
  }

  @Test(arguments: [
    "{\"trials\":9,\"seed\":9,\"enqueue\":[{\"a\":0.4,\"b\":0.3,\"exponent\":0}]}",
    "{\"trials\":9,\"seed\":9,\"observations\":[\(SearchBeginningTests.observation)]}",
    "{\"trials\":9,\"seed\":9,\"floors\":{\"a\":0.1}}",
    "{\"trials\":9,\"seed\":9,\"subset_share\":0.5}",
  ])
  func testWhatDecidesTheTrials_isPartOfTheSearch(_ options: String) throws {
    let fixture = try SearchFixture()
    let journal = TemporaryPath("run.jsonl")
    _ = try fixture.search("{\"trials\":2,\"seed\":9}").run(journal: journal.path, host: fixture)
    let error = #expect(throws: DFMergeError.self) {
      try fixture.search(options).run(journal: journal.path, host: fixture)
    }
    #expect(error?.code == .journalMismatch)
  }
}
