import DFMergeBO
import DFMergeCore

/// What a score command prints: one JSON object, alone or in its last line.
///
/// `{"score": x}`, or with tasks `{"scores": {"task": x, ...}}`; larger is better. `variance`, or
/// `variances` by task, where the noise of the scores is known.
enum ScoreOutput {
  /// The scores, in the tasks' order; nil where a score is null.
  /// - Throws: `.invalidFormat` for what is no such object, `.invalidArgument` for scores that are
  ///   not those of the search's tasks.
  static func scores(_ text: String, tasks: [String]) throws(DFMergeError) -> Scores? {
    let json = try object(text)
    let byTask = json["scores"]
    let isNamed = tasks != ["score"]
    if let byTask, !isNamed {
      let names = (byTask.objectValue ?? [:]).keys.sorted()
      throw DFMergeError(
        .invalidArgument,
        "The command printed scores for the tasks \(names.joined(separator: ", ")), which the search "
          + "does not know; name them: \(names.map { "--task \($0)" }.joined(separator: " ")).")
    }
    if byTask == nil, isNamed {
      throw DFMergeError(
        .invalidArgument,
        "The command printed no 'scores', and the search has the tasks "
          + "\(tasks.joined(separator: ", ")); print {\"scores\": {\"\(tasks.first ?? "")\": x, ...}}, "
          + "or leave --task out.")
    }
    var values: [Double] = []
    var variances: [Double?] = []
    for task in tasks {
      let value = isNamed ? byTask?[task] : json["score"]
      guard let value else {
        throw DFMergeError(
          .invalidArgument,
          "The command printed no score for '\(task)'; print one for every task.")
      }
      if value == .null { return nil }
      guard let number = value.doubleValue else {
        throw DFMergeError(
          .invalidFormat, "The score of '\(task)' is no number; print one, such as 0.71.")
      }
      values.append(number)
      let variance = isNamed ? json["variances"]?[task] : json["variance"]
      variances.append(variance?.doubleValue)
    }
    return Scores(values, variances: variances.contains { $0 != nil } ? variances : [])
  }

  private static func object(_ text: String) throws(DFMergeError) -> JSONValue {
    let lines = text.split(whereSeparator: \.isNewline)
      .filter { !$0.allSatisfy(\.isWhitespace) }
    // Programs say more than they are asked for: the last line counts where all is no object.
    for candidate in [text[...], lines.last ?? ""] {
      if let json = try? JSONValue(parsing: candidate.utf8, what: "the output"),
        json.objectValue != nil
      {
        return json
      }
    }
    guard let last = lines.last else {
      throw DFMergeError(
        .invalidFormat,
        "The command printed nothing; its last line is to be an object such as {\"score\": 0.71}.")
    }
    let shown = last.count > 80 ? last.prefix(77) + "..." : last
    throw DFMergeError(
      .invalidFormat,
      "The command's last line is no JSON object: \(shown). Print one such as {\"score\": 0.71}.")
  }
}
