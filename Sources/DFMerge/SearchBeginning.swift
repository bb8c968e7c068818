import DFMergeBO
import DFMergeCore

/// What a search starts with: the caller's own candidates, and what another search has found.
struct SearchBeginning {
  /// Points to evaluate before anything else, each once.
  private(set) var queue: [[Double]] = []
  private(set) var observations: [(point: [Double], scores: Scores)] = []
  /// What could not be used, in sentences.
  private(set) var warnings: [String] = []

  /// - Throws: `.invalidOption` for a candidate of another form, one to enqueue that lies outside
  ///   the bounds, or scores of other tasks.
  init(_ options: SearchOptions, _ space: SearchSpace) throws(DFMergeError) {
    let text = CandidateText(
      parameters: space.parameters, groups: space.groups, exponent: space.exponent)
    for (index, value) in try SearchBeginning.list(options.enqueue, "enqueue").enumerated() {
      let (found, problem) = text.candidate(value)
      guard let found else {
        throw SearchBeginning.refusal("enqueue", "candidate \(index) \(problem)")
      }
      guard let point = space.point(of: found) else {
        throw SearchBeginning.refusal(
          "enqueue",
          "candidate \(index) lies outside the bounds, or has another exponent than the search's")
      }
      if !queue.contains(point) { queue.append(point) }
    }
    if queue.count > options.trials {
      warnings.append(
        "\(queue.count) candidates are enqueued for \(options.trials) trials; the last "
          + "\(queue.count - options.trials) are not evaluated unless trials is raised.")
    }
    var outside = 0
    let known = try SearchBeginning.list(options.observations, "observations")
    for (index, value) in known.enumerated() {
      let (found, problem) = text.candidate(value, besides: ["scores", "variances"])
      guard let found else {
        throw SearchBeginning.refusal("observations", "observation \(index) \(problem)")
      }
      let scores = try SearchBeginning.scores(value, tasks: options.tasks, index)
      if let point = space.point(of: found) {
        observations.append((point, scores))
      } else {
        outside += 1
      }
    }
    if outside > 0 {
      warnings.append(
        "\(outside) of \(known.count) observations lie outside the bounds or have another exponent "
          + "than the search's; they are not used.")
    }
    if !space.isSoup, space.dimension > SearchSpace.sensibleDimensions {
      warnings.append(
        "The search has \(space.dimension) dimensions (\(space.parameters.count) parameters, "
          + "\(space.groups.count) groups); beyond \(SearchSpace.sensibleDimensions) it finds "
          + "little that equal coefficients do not. Use fewer groups.")
    }
    let missing =
      options.hasSingles ? space.singles().filter { space.point(of: $0.candidate) == nil } : []
    if !missing.isEmpty {
      warnings.append(
        "The bounds leave no room for \(missing.map(\.name).joined(separator: ", ")); not evaluated."
      )
    }
  }

  private static func list(_ value: JSONValue, _ option: String) throws(DFMergeError) -> [JSONValue]
  {
    guard let items = value.arrayValue else { throw refusal(option, "is not a list") }
    return items
  }

  /// The scores and variances of an observation, as a list in the tasks' order or by task.
  private static func scores(
    _ value: JSONValue, tasks: [String], _ index: Int
  ) throws(DFMergeError) -> Scores {
    func inOrder(_ given: JSONValue?) -> [JSONValue]? {
      if let list = given?.arrayValue { return list.count == tasks.count ? list : nil }
      guard let members = given?.objectValue, Set(members.keys) == Set(tasks) else { return nil }
      return tasks.map { members[$0] ?? .null }
    }
    let numbers = inOrder(value["scores"])?.compactMap(\.doubleValue).filter(\.isFinite) ?? []
    guard numbers.count == tasks.count else {
      throw refusal(
        "observations",
        "observation \(index) needs scores: one finite number for each of the tasks "
          + tasks.joined(separator: ", "))
    }
    guard let given = value["variances"], given != .null else { return Scores(numbers) }
    guard let variances = inOrder(given),
      variances.allSatisfy({ $0 == .null || ($0.doubleValue ?? -1) >= 0 })
    else {
      throw refusal(
        "observations",
        "observation \(index) has variances that are not one number of 0 or more, or null, for "
          + "each task")
    }
    return Scores(numbers, variances: variances.map(\.doubleValue))
  }

  private static func refusal(_ option: String, _ message: String) -> DFMergeError {
    DFMergeError(
      .invalidOption, "Option '\(option)' of the search: \(message).", context: ["option": option])
  }
}
