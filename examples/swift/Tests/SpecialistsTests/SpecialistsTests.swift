import DFMerge
import Glibc
import Specialists
import Testing

/// The whole way, once: train, save, search, merge, save.
@Suite struct SpecialistsTests {
  @Test func testMerged_beatsTheAverageAndCanBeReadBack() async throws {
    var template = Array("/tmp/specialists-XXXXXX".utf8CString)
    let folder = String(cString: try #require(mkdtemp(&template)))
    let specialists = Specialists(folder: folder)
    try specialists.train()
    var last = 0
    let report = try await specialists.merge(trials: 30) { done, _, _ in last = done }
    #expect(last == 30 && report.result.trials.count == 30)

    let merged = mean(report.merged)
    #expect(merged > mean(report.average))
    for specialist in report.specialists { #expect(merged > mean(specialist)) }

    // The file holds the merge of the coefficients that the result names.
    let saved = try Checkpoint.open(specialists.path("merged"))
    let base = try Checkpoint.open(specialists.path("base"))
    #expect(saved.tensors.map(\.name).sorted() == base.tensors.map(\.name).sorted())
    for tensor in saved.tensors {
      let values = try tensor.floats()
      #expect(values.count == tensor.shape.elementCount && values.allSatisfy(\.isFinite))
      #expect(try values != base.tensor(named: tensor.name)?.floats())
    }
    for model in report.result.models {
      #expect((0...1).contains(try #require(report.result.coefficient(of: model))))
    }

    // The same call goes on from the journal: every trial is there, nothing is evaluated again.
    let again = try await specialists.merge(trials: 30)
    #expect(again.merged == report.merged)
    #expect(again.result.trials.map(\.point) == report.result.trials.map(\.point))
  }

  private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
}
