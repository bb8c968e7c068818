import ArgumentParser
import DFMergeCore

/// `dfmerge diff`: where two checkpoints differ, and how much.
struct DiffCommand: ReportingCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff",
    abstract: "Compare two checkpoints tensor by tensor.",
    discussion: """
      For each tensor that both have with one shape: the largest and the mean |B - A|, the norm of \
      B - A over that of A, and the cosine between A and B. Reads both once, piece by piece, whatever \
      their size.
      """)

  @Argument(help: "A file or folder.") var a: String
  @Argument(help: "Another one.") var b: String

  @Option(
    help: ArgumentHelp(
      "Also give the cosine between the task vectors A - base and B - base.", valueName: "path"))
  var base: String?

  @Flag(help: "List tensors that are the same, too.")
  var all = false

  @Flag(help: "Exit with 1 where there is any difference.")
  var exitCode = false

  @Option(help: "Number of threads; 0 is one per core.")
  var threads = 0

  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard (0...1024).contains(threads) else {
      throw ValidationError("--threads takes a number from 0 to 1024.")
    }
  }

  func execute(_ console: Console) throws(DFMergeError) -> Int32 {
    let origin = try base.map { (path) throws(DFMergeError) in
      try WeightsCabinet.weights(at: path)
    }
    var comparison = CheckpointComparison(
      try WeightsCabinet.weights(at: a), try WeightsCabinet.weights(at: b), base: origin)
    let bar = ProgressBar("comparing", console)
    defer { bar.clear() }
    try comparison.run(
      threads: threads, progress: { bar.update($0, of: $1) },
      cancelled: { Interruption.isRequested })
    bar.clear()
    try console.emit(json: json(comparison), text: text(comparison))
    return exitCode && !comparison.isIdentical ? 1 : 0
  }

  private func json(_ comparison: CheckpointComparison) -> JSONValue {
    func figures(_ difference: TensorDifference?) -> [String: JSONValue] {
      guard let difference else { return [:] }
      var members: [String: JSONValue] = [
        "differing": .int(Int64(difference.differing)),
        "non_finite": .int(Int64(difference.nonFinite)),
        "max": .finite(difference.largest), "mean": .finite(difference.mean),
        "relative": .finite(difference.relative), "cosine": .finite(difference.cosine),
      ]
      if base != nil { members["task_cosine"] = .finite(difference.taskCosine) }
      return members
    }
    let total = comparison.total
    let tensors: [JSONValue] = comparison.pairs.map { pair in
      let names: [String: JSONValue] = [
        "name": .string(pair.a.name), "shape": pair.a.shape.json,
        "dtype": .array([.string(pair.a.dtype.name), .string(pair.b.dtype.name)]),
        "identical": .bool(pair.isIdentical),
      ]
      return .object(names.merging(figures(pair.difference)) { own, _ in own })
    }
    return [
      "identical": .bool(comparison.isIdentical),
      "tensors": .array(tensors),
      "only_in_a": .array(comparison.onlyInA.map(JSONValue.string)),
      "only_in_b": .array(comparison.onlyInB.map(JSONValue.string)),
      "other_shape": .array(
        comparison.reshaped.map { a, b in
          ["name": .string(a.name), "shapes": .array([a.shape.json, b.shape.json])]
        }),
      "total": .object(
        figures(total).merging(["elements": .int(Int64(total.count))]) { own, _ in own }),
    ]
  }

  private func text(_ comparison: CheckpointComparison) -> String {
    let columns = ["tensor", "shape", "dtype", "max", "mean", "relative", "cosine"]
    var table = TextTable(
      columns + (base == nil ? [] : ["task cosine"]), numeric: [3, 4, 5, 6, 7])
    func figures(_ difference: TensorDifference) -> [String] {
      [
        Figures.short(difference.largest), Figures.short(difference.mean),
        Figures.short(difference.relative), difference.cosine.map { Figures.fixed($0, 6) } ?? "-",
      ] + (base == nil ? [] : [difference.taskCosine.map { Figures.fixed($0, 6) } ?? "-"])
    }
    for pair in comparison.pairs where all || !pair.isIdentical {
      let dtype =
        pair.a.dtype == pair.b.dtype
        ? pair.a.dtype.name : "\(pair.a.dtype.name), \(pair.b.dtype.name)"
      let unread = pair.isIdentical ? "same" : "differs"
      table.add(
        [pair.a.name, pair.a.shape.description, dtype]
          + (pair.difference.map(figures) ?? [unread]))
    }
    let total = comparison.total
    if !table.isEmpty { table.add(["total", "", ""] + figures(total)) }
    var lines = table.isEmpty ? [] : [table.text, ""]
    func list(_ what: String, _ names: [String]) {
      guard !names.isEmpty else { return }
      lines.append("\(what): \(names.count)")
      lines += names.prefix(all ? names.count : 20).map { "  \($0)" }
      if !all, names.count > 20 { lines.append("  and \(names.count - 20) more (--all)") }
    }
    list("only in \(a)", comparison.onlyInA)
    list("only in \(b)", comparison.onlyInB)
    list(
      "with another shape",
      comparison.reshaped.map { "\($0.name) \($0.shape), \($1.shape)" })
    let same = comparison.pairs.count(where: \.isIdentical)
    lines.append(
      "\(Figures.grouped(same)) of \(Figures.grouped(comparison.pairs.count)) tensors are the same; "
        + "\(Figures.grouped(total.differing)) of \(Figures.grouped(total.count)) elements differ"
        + (total.nonFinite > 0 ? ", \(Figures.grouped(total.nonFinite)) are not finite" : ""))
    return lines.joined(separator: "\n")
  }
}

extension Shape {
  var json: JSONValue { .array(dimensions.map { .int(Int64($0)) }) }
}
