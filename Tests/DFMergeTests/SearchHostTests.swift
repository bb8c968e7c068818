import Testing

@testable import DFMerge
@testable import DFMergeCore

/// What a search does with answers of its host that are none.
@Suite struct SearchHostTests {
  /// Answers with given variances, and keeps the requests that it was asked.
  final class Host: SearchHost {
    let variances: [Double]
    var kept: [FisherRequest] = []
    init(variances: [Double]) { self.variances = variances }
    func evaluate(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation {
      .scores([1, 2], variances: variances)
    }
    func measureFisher(_ request: FisherRequest) throws(DFMergeError) { kept.append(request) }
    func progress(_ event: ProgressEvent) throws(DFMergeError) -> Bool { true }
  }

  @Test(
    arguments: [
      ([-5, 0], "gave -5.0 as the variance of task 'a'"),
      ([0, .infinity], "gave inf as the variance of task 'b'"), ([1], "1 variances for 2 tasks"),
    ] as [([Double], String)])
  func testVariancesThatAreNone_endTheRun(_ variances: [Double], _ says: String) throws {
    let fixture = try SearchFixture()
    let host = Host(variances: variances)
    let search = try fixture.search(#"{"trials":3,"initial":2,"fisher":"none"}"#)
    let error = #expect(throws: DFMergeError.self) { try search.run(journal: nil, host: host) }
    #expect(error?.code == .invalidArgument && error?.message.contains(says) == true)
    #expect(search.trials.isEmpty)
  }

  @Test(arguments: [[], [.nan, 0.25], [.nan, .nan]] as [[Double]])
  func testUnknownVariances_areTaken(_ variances: [Double]) throws {
    let fixture = try SearchFixture()
    let search = try fixture.search(#"{"trials":3,"initial":2,"fisher":"none"}"#)
    let result = try search.run(journal: nil, host: Host(variances: variances))
    #expect(result.trials.count == 3 && result.warnings.isEmpty)
  }

  @Test func testFailedTrials_areInTheWarnings() throws {
    let fixture = try SearchFixture()
    fixture.fisherValue = { _, _, _ in .nan }
    let result = try fixture.search(#"{"trials":8,"initial":6,"exponent":"search"}"#)
      .run(journal: nil, host: fixture)
    let failed = result.trials.filter { $0.state == .failed }
    #expect(!failed.isEmpty && failed.count < 8)
    #expect(result.warnings.count == 1)
    #expect(result.warnings.first?.contains("\(failed.count) of 8 trials failed") == true)
    #expect(result.warnings.first?.contains("Fisher value") == true)
    #expect(result.json["warnings"]?.arrayValue?.count == 1)
  }

  @Test func testFisherRequest_isRefusedAfterItsCallback() throws {
    let fixture = try SearchFixture()
    let host = Host(variances: [])
    _ = try fixture.search(#"{"trials":3,"initial":2,"fisher":"static"}"#)
      .run(journal: nil, host: host)
    let request = try #require(host.kept.first)
    let error = #expect(throws: DFMergeError.self) { try request.values(of: "w") }
    #expect(error?.code == .invalidState)
    let gradient = try #require(fixture.base.tensors.first)
    #expect(throws: DFMergeError.self) { try request.accumulate(gradient, weight: 1) }
  }
}
