import DFMergeCore
import DFMergeEngine
import DFMergeIO
import DFMergeRecipes

/// Carries a recipe out, step by step.
struct RecipeRunner {
  let recipe: MergeRecipe
  let out: String
  /// Where results of earlier steps stay; nil takes them away.
  let steps: String?
  let console: Console
  /// What the recipe and its inputs gave cause to say.
  private(set) var notes: [String] = []

  init(recipe: MergeRecipe, out: String, steps: String?, console: Console) {
    self.recipe = recipe
    self.out = out
    self.steps = steps
    self.console = console
  }

  /// What a step has made.
  struct Report {
    let step: MergeStep
    let out: String
    let report: MergeReport

    var json: JSONValue {
      var members = report.json.objectValue ?? [:]
      members["name"] = step.name.map(JSONValue.string) ?? .null
      members["method"] = .string(step.method)
      members["out"] = .string(out)
      return .object(members)
    }

    var text: String {
      var line =
        "\(out): \(Figures.grouped(report.merged)) tensors merged by \(step.method), "
        + "\(Figures.grouped(report.copied)) copied"
      if !report.leftOut.isEmpty { line += ", \(Figures.grouped(report.leftOut.count)) left out" }
      if !report.ties.isEmpty {
        line += ", \(Figures.grouped(report.ties.count)) with the values of others"
      }
      line +=
        "; \(Figures.bytes(report.bytesWritten)) written in \(Figures.fixed(report.seconds, 2)) s"
      if let error = report.roundingError { line += ", rounding error \(Figures.short(error))" }
      if report.hasNonFinite { line += "; some results are not finite" }
      return ([line] + report.notes.map { "  - \($0)" }).joined(separator: "\n")
    }
  }

  /// - Throws: as ``/DFMergeEngine/Merge/run(to:progress:cancelled:)``; `.cancelled` after Ctrl-C.
  mutating func run() throws(DFMergeError) -> [Report] {
    let cabinet = WeightsCabinet()
    for note in recipe.notes { tell(note) }
    var scratch: ScratchFolder?
    defer { withExtendedLifetime(scratch) {} }
    var reports: [Report] = []
    for (number, step) in recipe.steps.enumerated() {
      let isLast = number == recipe.steps.count - 1
      let merge = try cabinet.merge(step)
      for note in cabinet.notes.dropFirst(notes.count - recipe.notes.count) { tell(note) }
      var place = out
      if !isLast {
        if steps == nil, scratch == nil { scratch = try ScratchFolder(beside: out) }
        place = "\(steps ?? scratch?.path ?? out)/\(RecipeRunner.fileName(step.name, number))"
      }
      let label =
        recipe.steps.count == 1 ? "merging" : "merging \(number + 1)/\(recipe.steps.count)"
      let bar = ProgressBar(label, console)
      defer { bar.clear() }
      let report: MergeReport
      do throws(DFMergeError) {
        report = try merge.run(
          to: .path(place),
          progress: { (done, total) throws(DFMergeError) in
            bar.update(done, of: total)
            return true
          }, cancelled: { Interruption.isRequested })
      } catch {
        throw step.located(error)
      }
      bar.clear()
      reports.append(Report(step: step, out: place, report: report))
      if !isLast, let name = step.name {
        cabinet.keep(
          try Checkpoint.open(place, access: .pieces), as: name,
          recipe: try RecipeRunner.recipe(in: place))
      }
    }
    return reports
  }

  /// What a merge has left beside its weights; nil where they are one file.
  private static func recipe(in folder: String) throws(DFMergeError) -> JSONValue? {
    guard !folder.hasSuffix(".safetensors") else { return nil }
    let path = "\(folder)/\(MergeRecord.recipeName)"
    return try JSONValue(parsing: try MergeRecipe.contents(of: path), what: path)
  }

  private mutating func tell(_ note: String) {
    notes.append(note)
    console.note(note)
  }

  /// A step's name where that can be the name of a folder, else its number.
  private static func fileName(_ name: String?, _ number: Int) -> String {
    guard let name, !name.isEmpty, name.first != ".", name.utf8.count <= 200,
      !name.hasSuffix(".safetensors"),
      name.utf8.allSatisfy({ $0 > 0x20 && $0 != UInt8(ascii: "/") && $0 != 0x7F })
    else { return "step-\(number + 1)" }
    return name
  }
}
