/// The recipe of a greedy soup, as a pure function of the scores so far.
///
/// Trials 0 to M - 1 are the models alone, in the order given. From trial M on, the model next in
/// rank joins the soup so far, which is the best model at first; where the candidate's grade is
/// above the soup's, it is the soup from then on. Models that failed alone are not tried.
/// Rank: by grade, of equal ones the one that was given first.
/// Trials: M + (models with a grade) - 1, at most 2 M - 1.
/// Source: Wortsman et al. 2022 (arXiv 2203.05482), recipe 1, and the authors' code, which tries
/// models of equal score in the reverse of their order.
package struct GreedySoup: Sendable {
  /// What a candidate is judged by.
  package struct Grade: Sendable, Equatable {
    /// The aggregate of its scores.
    let value: Double
    /// The sum of what they miss of their floors.
    let violation: Double

    package init(value: Double, violation: Double) {
      self.value = value
      self.violation = violation
    }

    /// Whether it is strictly better: it misses the floors by less, or as much and has the higher
    /// value.
    func isAbove(_ other: Grade) -> Bool {
      violation == other.violation ? value > other.value : violation < other.violation
    }
  }

  /// What came of a model.
  package struct Step: Sendable, Equatable {
    package let model: Int
    /// The trial that decided: of the best model and of one that failed, its own.
    package let trial: Int
    package let isAccepted: Bool
  }

  private let modelCount: Int
  /// How many trials there are.
  private let made: Int
  /// The soup's models, in the order in which they joined.
  package private(set) var members: [Int] = []
  /// The trial in which the soup was merged; nil before a model has a grade.
  package private(set) var chosen: Int?
  /// What has been decided, in that order; models that failed alone come last.
  package private(set) var steps: [Step] = []
  /// The models of the next trial, 1 for one that is averaged and 0 for another; nil when all is
  /// decided.
  package private(set) var next: [Double]?
  /// How many trials there will be; before all models were scored alone, how many at most.
  package let total: Int

  /// - Parameters:
  ///   - modelCount: M, 1 or more.
  ///   - grades: of each trial so far, in order; nil for one that failed.
  package init(modelCount: Int, grades: [Grade?]) {
    self.modelCount = modelCount
    made = grades.count
    let singles = Array(grades.prefix(modelCount))
    let ranking = GreedySoup.ranking(singles)
    let open = modelCount - singles.count
    total = modelCount + max(0, ranking.count + open - 1)
    if open > 0 { next = inclusion([singles.count]) }
    if let first = ranking.first, let grade = singles[first] {
      members = [first]
      chosen = first
      steps = [Step(model: first, trial: first, isAccepted: true)]
      if open == 0 { add(ranking.dropFirst(), to: grade, grades) }
    }
    for model in singles.indices where open == 0 && singles[model] == nil {
      steps.append(Step(model: model, trial: model, isAccepted: false))
    }
  }

  /// Goes through the models after the best one, as far as they have been tried.
  private mutating func add(_ models: ArraySlice<Int>, to best: Grade, _ grades: [Grade?]) {
    var best = best
    for (model, trial) in zip(models, modelCount...) {
      guard trial < grades.count else {
        next = inclusion(members + [model])
        return
      }
      var isAccepted = false
      if let grade = grades[trial], grade.isAbove(best) {
        best = grade
        members.append(model)
        chosen = trial
        isAccepted = true
      }
      steps.append(Step(model: model, trial: trial, isAccepted: isAccepted))
    }
  }

  /// What the next trial is: "alone", or "soup" for an average.
  package var origin: String { made < modelCount ? "alone" : "soup" }

  private static func ranking(_ singles: [Grade?]) -> [Int] {
    let graded = singles.enumerated().compactMap { model, grade in grade.map { (model, $0) } }
    return graded.sorted { first, second in
      if first.1.isAbove(second.1) { return true }
      return second.1.isAbove(first.1) ? false : first.0 < second.0
    }.map(\.0)
  }

  private func inclusion(_ members: [Int]) -> [Double] {
    var point = [Double](repeating: 0, count: modelCount)
    for model in members { point[model] = 1 }
    return point
  }
}
