import ArgumentParser
import DFMerge
import DFMergeCore
import DFMergeRecipes

/// `--strategy greedy_soup`.
extension SearchCommand {
  /// Refuses what has no meaning beside it.
  func checkSoup() throws {
    var given = [
      ("--coefficient", !coefficients.isEmpty), ("--space", !space.isEmpty),
      ("--seed", seed != nil),
    ]
    given += studyOptions.map { ("--study \($0.name)", !SoupSteps.studyOptions.contains($0.name)) }
    for (name, isGiven) in given where isGiven {
      throw ValidationError(
        "\(name) is for --strategy bayesian; leave it out of a greedy soup, where only the scores "
          + "decide.")
    }
  }

  func makeSoup(_ step: MergeStep, _ console: Console) throws(DFMergeError) -> Int32 {
    let soup = try SoupSteps(step)
    let cabinet = WeightsCabinet()
    var description = try description(step, cabinet)
    description["strategy"] = .string(strategy.rawValue)
    let folder = try prepared(
      soup.step(at: soup.models.map { _ in 1 }), as: description, cabinet, console)
    let study = try continued(
      soup.options.merging(givenOptions) { _, given in given }, folder, console)
    let search = OptionSearch(
      candidate: soup.step, soup: soup, command: ScoreCommand(words: command, limit: trialSeconds),
      folder: folder, mostFailures: failures, study: study, cabinet: cabinet, console: console)
    let reason = try search.run()
    let (found, best) = try soup.result(of: study)
    let report = try search.finish(best.values, at: out)
    var json = study.trialsJSON.objectValue ?? [:]
    json["best"] = json["trials"]?.arrayValue?.first { $0["number"] == .int(Int64(best.number)) }
    json["kind"] = .string(strategy.rawValue)
    json["models"] = JSONValue(soup.models)
    json["tasks"] = JSONValue(study.options.objective.tasks)
    json["soup"] = found.json
    json["ended"] = .string(reason?.rawValue ?? Search.Ending.complete.rawValue)
    json["out"] = .string(out)
    json["work"] = .string(folder.path)
    json["merge"] = report.json
    json["recipe"] = .object(["method": .string(step.method), "models": JSONValue(found.models)])
    let isBelow = study.options.objective.violation(best.scores?.values ?? []) > 0
    try console.emit(
      json: .object(json),
      text: table(found).text + "\n\n"
        + ending(study, best, isBelow: isBelow, reason: reason, folder))
    return 0
  }

  private func table(_ soup: Soup) -> TextTable {
    var table = TextTable(["model", "alone", "with the soup", "in the soup"], numeric: [1, 2])
    for (place, decision) in soup.decisions.enumerated() {
      // The best one, and one that failed alone, were tried with nothing.
      let isTried = place > 0 && decision.alone != nil
      table.add([
        decision.model, decision.alone.map(Figures.short) ?? "failed",
        isTried ? decision.value.map(Figures.short) ?? "failed" : "",
        decision.isAccepted ? "yes" : "no",
      ])
    }
    return table
  }
}
