import ArgumentParser
import DFMerge
import DFMergeBO
import DFMergeCore
import DFMergeRecipes

/// How candidates are chosen, as `--strategy` says it.
enum SearchStrategy: String, ExpressibleByArgument, CaseIterable {
  case bayesian
  case greedySoup = "greedy_soup"
}

/// The merges of a greedy soup. The study keeps its trials: parameter m is 1 where model m is in the
/// average, and 0 elsewhere.
struct SoupSteps {
  private let step: MergeStep

  /// Names of the models, in order.
  var models: [String] { step.models.map(\.label) }

  /// - Throws: `.invalidOption` for a merge that is no uniform average.
  init(_ step: MergeStep) throws(DFMergeError) {
    guard step.method == "average" else {
      throw DFMergeError(
        .invalidOption,
        "A greedy soup averages models, and the method is '\(step.method)'; use 'average' ('linear' of "
          + "mergekit), or another --strategy.", context: ["option": "method"])
    }
    for (name, value) in step.options.sorted(by: { $0.key < $1.key }) {
      guard !SoupSteps.isPlain(name, value) else { continue }
      throw DFMergeError(
        .invalidOption,
        "A greedy soup gives every model that is in it the same weight, and the option '\(name)' says "
          + "something else; leave it out, or use another --strategy.", context: ["option": name])
    }
    var plain = step
    plain.options = [:]
    self.step = plain
  }

  /// Whether an option of the average leaves a uniform one: configurations have to name weights.
  private static func isPlain(_ name: String, _ value: JSONValue) -> Bool {
    switch name {
    case "weights":
      let numbers = value.arrayValue ?? value.objectValue.map { Array($0.values) } ?? [value]
      let first = numbers.first?.doubleValue ?? 0
      return first > 0 && numbers.allSatisfy { $0.doubleValue == first }
    case "normalize": return value.boolValue == true
    default: return false
    }
  }

  /// The average of the models at a point: as a merge of these alone.
  func step(at point: [Double]) -> MergeStep {
    var candidate = step
    candidate.models = zip(step.models, point).filter { $0.1 > 0 }.map(\.0)
    return candidate
  }

  /// Options of the study that act here.
  static let studyOptions: Set<String> = [
    "aggregate", "task_weights", "floors", "tasks", "trials", "target", "max_seconds",
  ]

  /// What the study is told of itself, but for what the caller chooses.
  var options: [String: JSONValue] {
    let parameters = models.map { name -> JSONValue in
      ["name": .string(name), "low": 0, "high": 1]
    }
    return [
      "parameters": .array(parameters), "best_by": "observed",
      "trials": JSONValue(max(1, 2 * models.count - 1)),
    ]
  }

  /// Where the soup stands.
  /// - Throws: `.journalMismatch` where the trials are those of something else.
  func state(of study: Study) throws(DFMergeError) -> GreedySoup {
    let told = study.trials.filter(\.isTold)
    var state = GreedySoup(modelCount: step.models.count, grades: [])
    var grades: [GreedySoup.Grade?] = []
    for trial in told {
      guard trial.values == state.next else {
        throw DFMergeError(
          .journalMismatch,
          "Trial \(trial.number) of the journal does not follow from those before it as a greedy soup's; "
            + "choose another folder with --work.")
      }
      var grade: GreedySoup.Grade?
      if let value = trial.value, let scores = trial.scores {
        grade = GreedySoup.Grade(
          value: value, violation: study.options.objective.violation(scores.values))
      }
      grades.append(grade)
      state = GreedySoup(modelCount: step.models.count, grades: grades)
    }
    return state
  }

  /// The soup so far, and the trial that it was scored in.
  /// - Throws: `.allTrialsFailed` where no model has a score.
  func result(of study: Study) throws(DFMergeError) -> (soup: Soup, trial: StudyTrial) {
    let state = try state(of: study)
    let told = study.trials.filter(\.isTold)
    guard let chosen = state.chosen else {
      let reason = told.compactMap(\.reason).first ?? ""
      throw DFMergeError(
        .allTrialsFailed, "No model has a score. The first reason: \(reason)")
    }
    return (Soup(state, names: models, values: told.map(\.value)), told[chosen])
  }
}
