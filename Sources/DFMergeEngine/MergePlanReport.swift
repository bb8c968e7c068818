import DFMergeCore
import DFMergeIO
import DFMergeMethods

/// What a merge will do, for people and for programs.
public struct MergePlanReport: Sendable, CustomStringConvertible {
  /// Whether the merge can be carried out: no mismatch is refused.
  public let isPossible: Bool
  /// Tensors that are computed, copied, and left out.
  public let merged: Int
  public let copied: Int
  public let leftOut: Int
  /// Tensors that the method writes beside those of the inputs; memory to write into needs room for
  /// them.
  public let added: [TensorSpec]
  /// Elements that are computed.
  public let parameters: Int
  /// What the settings settled, and what they refuse; one sentence each.
  public let notes: [String]
  public let problems: [String]
  /// What can be done about the problems.
  public let remedies: [String]
  public let threads: Int
  /// How often the inputs are gone through.
  public let passes: Int
  /// The most memory in bytes beyond inputs and outputs that lie in memory.
  public let peakMemory: Int
  /// Bytes read in all passes, from files and from memory; `fileBytesRead` are those from files.
  public let bytesRead: Int
  public let fileBytesRead: Int
  public let bytesWritten: Int
  /// Estimate from this machine's speed, measured when the plan was made: the larger of what the
  /// memory and the files need. Arithmetic that is slower than the memory is not in it. Nil without an
  /// estimate (setting `estimate`).
  public let seconds: Double?

  /// The shapes of tensors of the result that the method changes, by name.
  public let reshaped: [String: Shape]
  /// The tensors of the result that have the values of another one because they are made of the same
  /// inputs: its name, by theirs. A host may store each such tensor once.
  public let ties: [String: String]
  /// Whether the destination is a file, or a folder with weights, that the merge replaces.
  public let replaces: Bool

  private let findings: (notes: [PlanFinding], problems: [PlanFinding])
  private let method: String
  private let title: String
  private let destination: String?
  private let isInput: Bool
  private let speed: MachineSpeed?

  init(
    merge: Merge, plan: MergePlan, resources: MergeResources, destination: MergeDestination,
    speed: MachineSpeed?
  ) {
    isPossible = plan.problems.isEmpty
    merged = plan.mergedTensorCount
    copied = plan.copies.count
    leftOut = plan.leftOut.count
    added =
      plan.entries.flatMap { $0.bitOutputs.map { plan.outputs[$0] } }
      + plan.numberOutputs.map { plan.outputs[$0] }
    parameters = plan.elementCount
    notes = plan.notes.map(\.text)
    problems = plan.problems.map(\.text)
    remedies = plan.problems.isEmpty ? [] : PlanFinding.remedies(for: plan.problems)
    findings = (plan.notes, plan.problems)
    reshaped = plan.entries.reduce(into: [:]) {
      guard $1.isReshaped else { return }
      for position in $1.positions { $0[plan.outputs[position].name] = $1.output.shape }
    }
    ties = plan.ties
    threads = resources.threads
    passes = resources.passes
    peakMemory = resources.peakMemory
    bytesRead = resources.bytesRead
    fileBytesRead = resources.fileBytesRead
    bytesWritten = resources.bytesWritten
    method = merge.method
    title = merge.info.title
    let path: String? = if case .path(let path) = destination { path } else { nil }
    self.destination = path
    let isAdapter = merge.adapters != nil
    replaces = path.map { OutputFiles.hasWeights($0, ofAdapter: isAdapter) } ?? false
    func plain(_ path: String) -> String { path.hasSuffix("/") ? String(path.dropLast()) : path }
    let inputs = (merge.base.map { [$0] } ?? []) + merge.models + merge.fishers
    let places = inputs.compactMap(\.location).map(plain)
    isInput = path.map { places.contains(plain($0)) } ?? false
    self.speed = speed
    seconds = speed.map { speed in
      let threads = Double(resources.threads)
      let moved = Double(resources.bytesRead + resources.bytesWritten)
      let input = speed.input.map { Double(resources.fileBytesRead) / ($0 * threads) } ?? 0
      let output =
        path == nil ? 0 : Double(resources.bytesWritten) / (speed.output ?? speed.memory)
      return max(moved / (speed.memory * threads), input + output)
    }
  }

  public var json: JSONValue {
    func list(_ findings: [PlanFinding]) -> JSONValue { .array(findings.map(\.json)) }
    func number(_ value: Double?) -> JSONValue { value.map(JSONValue.double) ?? .null }
    return .object([
      "possible": .bool(isPossible), "method": .string(method),
      "replaces": .bool(replaces),
      "tensors": .object([
        "merged": .int(Int64(merged)), "copied": .int(Int64(copied)),
        "left_out": .int(Int64(leftOut)), "refused": .int(Int64(problems.count)),
      ]),
      "added": .array(
        added.map {
          .object([
            "name": .string($0.name), "dtype": .string($0.dtype.name),
            "shape": .array($0.shape.dimensions.map { .int(Int64($0)) }),
          ])
        }),
      "parameters": .int(Int64(parameters)), "notes": list(findings.notes),
      "problems": list(findings.problems), "remedies": .array(remedies.map(JSONValue.string)),
      "threads": .int(Int64(threads)), "passes": .int(Int64(passes)),
      "peak_memory": .int(Int64(peakMemory)), "bytes_read": .int(Int64(bytesRead)),
      "file_bytes_read": .int(Int64(fileBytesRead)), "bytes_written": .int(Int64(bytesWritten)),
      "reshaped": .object(
        reshaped.mapValues { .array($0.dimensions.map { .int(Int64($0)) }) }),
      "ties": .object(ties.mapValues(JSONValue.string)),
      "seconds": number(seconds), "text": .string(description),
      "bytes_per_second": .object([
        "memory": number(speed?.memory), "input": number(speed?.input),
        "output": number(speed?.output),
      ]),
    ])
  }

  /// A few lines for people.
  public var description: String {
    var lines = ["\(title), method '\(method)'" + (destination.map { ", into \($0)" } ?? "")]
    if replaces {
      lines.append(
        "replaces the weights that are there" + (isInput ? ", an input of this merge" : ""))
    }
    var counts =
      "\(merged) tensor\(merged == 1 ? "" : "s") merged (\(count(parameters)) parameters), "
      + "\(copied) copied"
    if !added.isEmpty { counts += ", \(added.count) added" }
    if !ties.isEmpty {
      counts +=
        ", \(ties.count) with the values of \(Set(ties.values).count) other\(Set(ties.values).count == 1 ? "" : "s")"
    }
    if leftOut > 0 { counts += ", \(leftOut) left out" }
    if !problems.isEmpty { counts += ", \(problems.count) refused" }
    lines.append(counts)
    func list(_ what: String, _ texts: [String]) {
      guard !texts.isEmpty else { return }
      lines.append("\(what):")
      lines += texts.prefix(20).map { "  - \($0)" }
      if texts.count > 20 { lines.append("  - and \(texts.count - 20) more") }
    }
    list("refused", problems)
    lines += remedies.map { "  \($0)" }
    list("settled", notes)
    lines.append(
      "reads \(size(bytesRead))" + (passes > 1 ? " in \(passes) passes" : "")
        + ", writes \(size(bytesWritten)), takes \(size(peakMemory)) of memory"
        + (seconds.map { " and \(duration($0))" } ?? "")
        + " with \(threads) thread\(threads == 1 ? "" : "s")")
    return lines.joined(separator: "\n")
  }

  private func size(_ bytes: Int) -> String {
    let units = ["bytes", "KB", "MB", "GB", "TB"]
    var value = Double(bytes)
    var unit = 0
    while value >= 1000, unit < units.count - 1 {
      value /= 1000
      unit += 1
    }
    return unit == 0 ? "\(bytes) bytes" : "\((value * 10).rounded() / 10) \(units[unit])"
  }

  /// Exact below a million, for there are models that small in tests only.
  private func count(_ number: Int) -> String {
    if number < 1_000_000 { return "\(number)" }
    let isBillions = number >= 1_000_000_000
    let value = Double(number) / (isBillions ? 1e9 : 1e6)
    return "\((value * 10).rounded() / 10) \(isBillions ? "billion" : "million")"
  }

  private func duration(_ seconds: Double) -> String {
    // Opening, naming and syncing files takes some hundredths of a second, which no speed tells.
    if seconds < 0.1 { return "less than 0.1 s" }
    if seconds < 100 { return "about \((seconds * 10).rounded() / 10) s" }
    return "about \(Int((seconds / 60).rounded())) min"
  }
}
