import DFMergeCore

/// The file that a recipe is read from: `place(12)` is its twelfth line.
struct RecipeFileName: Sendable {
  let file: String
  func callAsFunction(_ line: Int) -> RecipePlace { RecipePlace(file: file, line: line) }
}

/// A line of a recipe's file, for errors and notes.
struct RecipePlace {
  let file: String
  let line: Int

  /// `config.yml:12`.
  var text: String { "\(file):\(line)" }

  /// A value that is not what belongs there. `problem` ends with the remedy, without a full stop.
  func invalid(_ problem: String) -> DFMergeError { error(.invalidFormat, problem) }

  /// Something of the format that is not done here.
  func unsupported(_ problem: String) -> DFMergeError { error(.unsupported, problem) }

  /// A name that does not exist; `what` says which and where.
  func unknown(_ what: String, known: [String]) -> DFMergeError {
    error(.unknownName, "there is no \(what); there are: \(known.joined(separator: ", "))")
  }

  private func error(_ code: DFMergeError.Code, _ problem: String) -> DFMergeError {
    DFMergeError(
      code, "\(text): \(problem).", context: ["path": file, "line": String(line)])
  }
}
