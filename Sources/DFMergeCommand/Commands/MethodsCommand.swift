import ArgumentParser
import DFMergeCore
import DFMergeEngine
import DFMergeMethods

/// `dfmerge methods`: what there is to merge with.
struct MethodsCommand: ReportingCommand {
  static let configuration = CommandConfiguration(
    commandName: "methods",
    abstract: "List the methods, or one method's formula, options and source.")

  @Argument(help: "The method to describe.")
  var name: String?

  @OptionGroup var output: OutputOptions

  func execute(_ console: Console) throws(DFMergeError) -> Int32 {
    guard let name else {
      try console.emit(json: MethodRegistry.json, text: MethodsCommand.listing())
      return 0
    }
    guard let info = MethodRegistry.infos.first(where: { $0.id == name }) else {
      throw DFMergeError(
        .unknownName,
        "There is no method '\(name)'; there are: "
          + MethodRegistry.infos.map(\.id).joined(separator: ", ") + ".",
        context: ["method": name])
    }
    let listed = MethodRegistry.json.arrayValue?.first { $0["id"]?.stringValue == name }
    try console.emit(json: listed ?? info.json, text: MethodsCommand.description(info))
    return 0
  }

  private static func listing() -> String {
    var table = TextTable(["method", "", "needs"])
    for info in MethodRegistry.infos {
      var needs: [String] = []
      if info.needsBase { needs.append("base") }
      if let data = data(info) { needs.append(data) }
      table.add([info.id, info.title, needs.joined(separator: ", ")])
    }
    return table.text + "\n\n'dfmerge methods NAME' describes one."
  }

  /// What comes with each model; nil for nothing.
  private static func data(_ info: MethodInfo) -> String? {
    switch info.modelData {
    case .none: nil
    case .fisher: "Fisher values"
    case .gram: "Gram matrices"
    }
  }

  static func description(_ info: MethodInfo) -> String {
    let least = info.modelCounts.lowerBound
    let most = info.modelCounts.upperBound
    let count =
      most == Int.max ? "\(least) or more" : least == most ? "\(least)" : "\(least) to \(most)"
    var lines = [
      "\(info.title), method '\(info.id)'", "",
    ]
    // Equations of a formula are parted by a semicolon and two spaces.
    lines += info.formula.replacing(";  ", with: "\n").split(separator: "\n")
      .map { Paragraph.wrapped(String($0), indent: "  ") }
    lines += [
      "",
      Paragraph.wrapped(info.summary), "",
      "models: \(count); base: "
        + (info.needsBase ? "needed" : info.usesBase ? "if there is one" : "not read")
        + (data(info).map { "; with each model: \($0)" } ?? ""), "",
    ]
    if !info.options.isEmpty { lines.append("options:") }
    for option in info.options {
      let value = (try? option.defaultValue.text()) ?? ""
      let given = option.defaultValue == .null ? "" : ", \(value) by default"
      lines.append("  \(option.name): \(takes(option))\(given)")
      lines.append(Paragraph.wrapped(option.summary, indent: "      "))
    }
    if !info.options.isEmpty { lines.append("") }
    lines.append(Paragraph.wrapped("source: \(info.source)"))
    return lines.joined(separator: "\n")
  }

  /// What an option takes, in words.
  private static func takes(_ option: OptionSchema) -> String {
    func range(_ limits: ClosedRange<Double>) -> String {
      func text(_ number: Double) -> String {
        (try? JSONValue.double(number).text()) ?? "\(number)"
      }
      switch (limits.lowerBound.isFinite, limits.upperBound.isFinite) {
      case (true, true): return " from \(text(limits.lowerBound)) to \(text(limits.upperBound))"
      case (true, false): return " of at least \(text(limits.lowerBound))"
      case (false, true): return " of at most \(text(limits.upperBound))"
      case (false, false): return ""
      }
    }
    switch option.kind {
    case .number(let limits): return "a number\(range(limits))"
    case .integer(let limits):
      let isOpen = limits.upperBound == Int.max
      return "a whole number of at least \(limits.lowerBound)"
        + (isOpen ? "" : " and at most \(limits.upperBound)")
    case .byteSize: return "a number of bytes, or a text such as 300MB"
    case .flag: return "true or false"
    case .choice(let words): return words.joined(separator: " | ")
    case .flagOrChoice(let words):
      return "true, false or \(words.joined(separator: " | "))"
    case .numberOrChoice(let limits, let words):
      return "a number\(range(limits)), or \(words.joined(separator: " | "))"
    case .numberPerModel(let limits): return "a number\(range(limits)), for all or for each model"
    case .intervalPerModel(let limits):
      return "a pair [low, high]\(range(limits)), for all or for each model"
    case .names: return "a list of names"
    case .numberPerTask: return "a number for each task"
    case .parameters: return "a list of {\"name\", \"low\", \"high\"}"
    case .structured(let form): return form
    }
  }
}
