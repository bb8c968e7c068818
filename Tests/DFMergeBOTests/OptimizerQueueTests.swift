import DFMergeCore
import Testing

@testable import DFMergeBO

/// Several workers, points named by the caller, knowledge from elsewhere.
@Suite struct OptimizerQueueTests {
  private func optimizer(initial: Int = 4) throws -> Optimizer {
    var options = OptimizerOptions.default
    options.seed = 3
    options.initial = initial
    return try Optimizer(dimension: 2, options: options)
  }

  @Test func aBatch_isTheSameAsSingleAsks_andItsPointsDiffer() throws {
    let (one, other) = (try optimizer(), try optimizer())
    for optimizer in [one, other] { try run(optimizer, 6, cliff) }
    let batch = try one.ask(4)
    #expect(try (0..<4).map { _ in try other.ask() } == batch)
    for i in 0..<4 { for j in 0..<i { #expect(batch[i].point != batch[j].point) } }
    #expect(one.pending == batch)
    #expect(throws: DFMergeError.self) { try one.ask(0) }
  }

  @Test func results_comeInAnyOrder() throws {
    let (one, other) = (try optimizer(), try optimizer())
    for optimizer in [one, other] {
      try run(optimizer, 5, cliff)
      _ = try optimizer.ask(3)
    }
    for number in [5, 6, 7] { try one.tell(number, value: cliff(one.pending[0].point)) }
    for number in [7, 5, 6] {
      let point = try #require(other.pending.first { $0.number == number }).point
      try other.tell(number, value: cliff(point))
    }
    #expect(one.history == other.history)
    #expect(try one.ask() == other.ask())
  }

  @Test func aWithdrawnSuggestion_freesItsPoint_andUsesUpItsNumber() throws {
    let optimizer = try optimizer()
    let lost = try optimizer.ask()
    try optimizer.withdraw(lost.number)
    let next = try optimizer.ask()
    #expect(next.point == lost.point && next.number == lost.number + 1)
    #expect(throws: DFMergeError.self) { try optimizer.withdraw(lost.number) }
    try optimizer.enqueue([[0.25, 0.75]])
    try optimizer.withdraw(try optimizer.ask().number)
    #expect(try optimizer.ask().point == [0.25, 0.75])
  }

  @Test func reopenedSuggestions_continueAsIfNeverStopped() throws {
    let whole = try run(optimizer(), 6, cliff)
    let open = try whole.ask(2)
    let resumed = try optimizer()
    for suggestion in open.reversed() { resumed.reopen(suggestion) }
    for trial in whole.history.reversed() { try resumed.record(trial) }
    #expect(resumed.pending == open)
    #expect(try resumed.ask() == whole.ask())
  }

  @Test func queuedPoints_areSkippedWhenKnown_unlessTheyAreRepeats() throws {
    let optimizer = try optimizer()
    try optimizer.enqueue([[0.5, 0.5], [0.5, 0.5]])
    let first = try optimizer.ask()
    #expect(first.point == [0.5, 0.5] && first.origin == .informed)
    try optimizer.tell(first.number, value: 1)
    #expect(try optimizer.ask().point != [0.5, 0.5])
    try optimizer.enqueue([[0.5, 0.5]], repeats: true)
    #expect(try optimizer.ask().point == [0.5, 0.5])
    #expect(try optimizer.ask().point != [0.5, 0.5])
  }

  @Test func observations_countAsTrials_repeatsToo() throws {
    let optimizer = try optimizer()
    for (index, value) in [0.2, 0.25, 0.3, 0.35].enumerated() {
      #expect(try optimizer.observe([0.4, 0.4], scores: Scores([value])) == index)
    }
    #expect(optimizer.history.allSatisfy { $0.origin == .observation })
    #expect(try optimizer.ask().origin == .search)
    #expect(try optimizer.best().mean < 0.35)
  }

  @Test func floors_makeThePointInfeasible_byWhatIsMissing() throws {
    let objective = try Objective(tasks: ["a", "b"], floors: ["b": 0.6])
    #expect(objective.isConstrained)
    #expect(objective.violation([0, 0.6]) == 0)
    #expect(abs(objective.violation([0, 0.5]) - 0.1) < 1e-15)
    #expect(throws: DFMergeError.self) { try Objective(tasks: ["a"], floors: ["c": 0]) }
    #expect(throws: DFMergeError.self) { try Objective(tasks: ["a"], floors: ["a": .nan]) }
    #expect(throws: DFMergeError.self) { try Objective(tasks: ["a", "a"]) }
    #expect(throws: DFMergeError.self) { try Objective(tasks: []) }
  }

  @Test func scores_mustMatchTheTasks() throws {
    let objective = try Objective(tasks: ["a", "b"], aggregate: .geometric)
    let optimizer = try Optimizer(dimension: 1, objective: objective)
    let number = try optimizer.ask().number
    #expect(throws: DFMergeError.self) { try optimizer.tell(number, value: 1) }
    #expect(throws: DFMergeError.self) {
      try optimizer.tell(number, scores: Scores([1, 2], variances: [1]))
    }
    #expect(throws: DFMergeError.self) { try optimizer.tell(number, scores: Scores([1, .nan])) }
    #expect(optimizer.history.isEmpty)
    try optimizer.tell(number, scores: Scores([4, 9]))
    #expect(abs(try #require(optimizer.history[0].value) - 6) < 1e-14)
    // A negative score has no geometric mean: the evaluation counts as failed.
    try optimizer.tell(try optimizer.ask().number, scores: Scores([-1, 9]))
    #expect(optimizer.history[1].isFailed)
  }
}

/// What one odd score or failed trial must not do to the model of the others.
@Suite struct RobustModelTests {
  @Test(arguments: [-1e300, -Double.greatestFiniteMagnitude, -1e160])
  func oneAbsurdScore_isClipped_andTheRestKept(_ absurd: Double) throws {
    var options = OptimizerOptions.default
    options.seed = 2
    let optimizer = try Optimizer(dimension: 2, options: options)
    for i in 0..<20 {
      let asked = try optimizer.ask()
      let loss = asked.point.reduce(0) { $0 + ($1 - 0.3) * ($1 - 0.3) }
      try optimizer.tell(asked.number, value: i == 3 ? absurd : -loss)
    }
    let (mean, sd) = try optimizer.predict([0.3, 0.3])
    #expect(abs(mean) < 0.02 && sd < 0.05)
    #expect(try optimizer.best().value > -0.02)
  }

  @Test(arguments: Objective.Aggregate.allCases)
  func aCollapsedTask_isNeverTheBest(_ aggregate: Objective.Aggregate) throws {
    for seed in 0..<4 as Range<UInt64> {
      var options = OptimizerOptions.default
      options.seed = seed
      options.initial = 6
      options.modelling = .tasks
      let objective = try Objective(
        tasks: ["a", "b"], aggregate: aggregate,
        weights: aggregate == .weighted ? ["a": 1, "b": 1] : [:])
      let optimizer = try Optimizer(dimension: 1, objective: objective, options: options)
      // Concave in each task, so that the middle is best for every aggregate.
      try run(optimizer, 16) { x in [sine(x[0]), sine(1 - x[0])] }
      #expect(abs(try optimizer.best().point[0] - 0.5) < 0.1, "\(aggregate), seed \(seed)")
    }
  }

  private func sine(_ x: Double) -> Double { scalarSin(0.5 * Double.pi * x) }

  private func run(
    _ optimizer: Optimizer, _ count: Int, _ scores: ([Double]) -> [Double]
  ) throws {
    for _ in 0..<count {
      let asked = try optimizer.ask()
      try optimizer.tell(asked.number, scores: Scores(scores(asked.point)))
    }
  }

  @Test func failedTrials_leaveTheTasksOfTheOthersAsTheyAre() throws {
    var options = OptimizerOptions.default
    options.seed = 2
    options.initial = 6
    options.modelling = .tasks
    let objective = try Objective(tasks: ["a", "b"])
    let optimizer = try Optimizer(dimension: 2, objective: objective, options: options)
    for i in 0..<14 {
      let asked = try optimizer.ask()
      let (u, v) = (asked.point[0] - 0.3, asked.point[1] - 0.6)
      if i % 2 == 1 {
        try optimizer.tellFailed(asked.number)
      } else {
        try optimizer.tell(asked.number, scores: Scores([1 - u * u, 1 - v * v]))
      }
    }
    let told = optimizer.history.compactMap { trial in trial.value.map { (trial.point, $0) } }
    let means = try told.map { try optimizer.predict($0.0).mean }
    let (meanOfMeans, meanTold) = (
      means.reduce(0, +) / Double(means.count), told.reduce(0) { $0 + $1.1 } / Double(told.count)
    )
    let covariance = zip(means, told).reduce(0) { $0 + ($1.0 - meanOfMeans) * ($1.1.1 - meanTold) }
    #expect(covariance > 0)
  }

  @Test func improvementLeft_isWithoutEnd_whileNothingIsFeasible() throws {
    let objective = try Objective(tasks: ["a"], floors: ["a": 10])
    let optimizer = try Optimizer(dimension: 1, objective: objective)
    for _ in 0..<10 {
      let asked = try optimizer.ask()
      try optimizer.tell(asked.number, value: asked.point[0])
    }
    #expect(try optimizer.improvementLeft() == .infinity)
  }
}
