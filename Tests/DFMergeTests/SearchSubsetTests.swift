import Testing

@testable import DFMerge
@testable import DFMergeCore

@Suite struct SearchSubsetTests {
  static let options = "{\"trials\":14,\"seed\":3,\"initial\":5,\"subset_share\":0.25}"

  @Test func testBudget_isInUnitsOfWholeEvaluations() throws {
    let fixture = try SearchFixture()
    let search = try fixture.search(SearchSubsetTests.options)
    let result = try search.run(journal: nil, host: fixture)
    let settled = result.trials.filter { $0.state == .subset }
    #expect(fixture.subsets == result.trials.count)
    #expect(fixture.evaluations == result.trials.count - settled.count)
    #expect(!settled.isEmpty && result.trials.count > 14)
    let cost = Double(fixture.evaluations) + 0.25 * Double(settled.count)
    #expect(search.cost == cost && cost >= 14 && cost < 15)
    #expect(result.json["cost"]?.doubleValue == cost)
    #expect(result.best.isComplete && result.best.value == result.trials[result.best.number].value)
    // What only the subset knows is no score of the trial.
    for trial in settled {
      #expect(trial.value == nil && trial.scores.isEmpty && trial.subset?.values.count == 2)
    }
  }

  @Test func testFailedFirstStage_isAFailedTrial() throws {
    let fixture = try SearchFixture()
    fixture.beforeSubset = { number throws(DFMergeError) in number % 2 == 0 }
    let result = try fixture.search(SearchSubsetTests.options).run(journal: nil, host: fixture)
    #expect(result.trials[1].state == .failed)
    #expect(result.trials[1].failure?.contains("subset") == true)
    #expect(result.trials[0].isComplete)
    let none = try SearchFixture()
    none.beforeSubset = { _ throws(DFMergeError) in false }
    let search = try none.search(SearchSubsetTests.options)
    let error = #expect(throws: DFMergeError.self) { try search.run(journal: nil, host: none) }
    #expect(error?.code == .allTrialsFailed && search.trials.count == 14)
  }

  @Test func testHostWithoutAFirstStage_isTold() throws {
    let fixture = try SearchFixture()
    let host = ScriptedHost { _ in [1, 1] }
    let search = try fixture.search("{\"subset_share\":0.5,\"fisher\":\"none\"}")
    let error = #expect(throws: DFMergeError.self) { try search.run(journal: nil, host: host) }
    #expect(error?.code == .invalidState && error?.message.contains("subset_share") == true)
  }

  @Test(arguments: ["0", "1", "1.5", "-0.1", "\"half\""])
  func testShare_liesBetweenNothingAndAll(_ share: String) throws {
    let fixture = try SearchFixture()
    let error = #expect(throws: DFMergeError.self) {
      try fixture.search("{\"subset_share\":\(share)}")
    }
    #expect(error?.context["option"] == "subset_share")
  }
}
