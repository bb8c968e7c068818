import DFMergeCore
import Testing

@testable import DFMergeBO

/// Scores of a fixed subset first, and the rest where that is worth its cost.
@Suite struct FirstStageTests {
  private func surrogate(_ n: Int) throws -> Surrogate {
    try HierarchicalModel(scattered(n, dimension: 2)).fit(random: CounterRandom(seed: 0, stream: 0))
  }

  @Test func posterior_isThatOfTheDenseCovariance() throws {
    let n = 9
    let fitted = try surrogate(n)
    let kernel = fitted.kernel
    // Two pairs, two trials with a first stage alone, one pending without and one with it.
    let extra = [[0.3, 0.8], [0.7, 0.2], [0.15, 0.4], [0.6, 0.6]]
    let observed = ObservedPoints(
      points: fitted.observations.points + extra.flatMap { $0 }, fullCount: n, pendingCount: 2,
      isSelectable: (0..<13).map { $0 < n || $0 >= 11 }, firstStages: [2, 5, 9, 10, 12])
    let unit = fitted.standardisation
    let z = [0.3, -0.2, 0.9, 0.5, 0.8]
    let scores = z.map { unit.score($0) }
    let output = try Output("a", fitted, observed: observed, scores: scores, share: 0.25)

    let pairs = [2, 5]
    let error = SubsetError(
      kernel: kernel, points: pairs.flatMap { fitted.observations.point($0) },
      differences: zip(pairs, z).map { $1 - fitted.targets[$0] }, noise: fitted.typicalNoise,
      share: 0.25)
    let points = (0..<n).map { fitted.observations.point($0) } + extra
    func k(_ a: [Double], _ b: [Double]) -> Double {
      var squared = 0.0
      for i in 0..<2 {
        let u = (a[i] - b[i]) / kernel.lengthScales[i]
        squared += u * u
      }
      let r = squared.squareRoot()
      let root5 = 5.0.squareRoot()
      return kernel.amplitude * (1 + root5 * r + 5 * squared / 3) * scalarExp(-root5 * r)
    }
    func covariance(_ rows: [Int]) -> [[Double]] {
      rows.indices.map { i in
        rows.indices.map { j in
          let (a, b) = (rows[i], rows[j])
          var value = k(points[a], points[b])
          // A believed score shares its noise with nothing.
          if i == j || (a == b && max(i, j) < n + 5) {
            value += a < n ? fitted.noise[a] : fitted.typicalNoise
          }
          if (n..<(n + 5)).contains(i), (n..<(n + 5)).contains(j) {
            let smooth = k(points[a], points[b]) / kernel.amplitude
            value += error.variance * (1 - error.roughness) * smooth
            if i == j { value += error.variance * error.roughness }
          }
          return value
        }
      }
    }
    let c = fitted.constant
    let told = Array(0..<n) + observed.firstStages
    let residuals = fitted.targets.map { $0 - c } + z.map { $0 - error.bias - c }
    let before = solve(covariance(told), residuals)
    func mean(_ x: [Double]) -> Double {
      c + zip(told, before).reduce(0) { $0 + k(x, points[$1.0]) * $1.1 }
    }
    // Believing leaves the mean as it is and lowers the variance.
    let all = told + [11, 12]
    for x in [[0.3, 0.8], [0.1, 0.1], [0.9, 0.5], [0.6, 0.6]] {
      let found = output.posterior.predict(x)
      expectClose(found.mean, mean(x), relative: 1e-7, floor: 1)
      let cross = all.map { k(x, points[$0]) }
      let variance =
        kernel.amplitude - zip(cross, solve(covariance(all), cross)).reduce(0) { $0 + $1.0 * $1.1 }
      expectClose(found.deviation * found.deviation, variance, relative: 1e-6, floor: 1e-3)
    }
    for i in 0..<13 { expectClose(output.means[i], mean(points[i]), relative: 1e-7, floor: 1) }
    withExtendedLifetime(output.posterior) {}
  }

  @Test func error_isLearntFromPairs_andThePriorWithoutThem() {
    let kernel = Matern52(lengthScales: [0.3], amplitude: 1.3)
    let none = SubsetError(kernel: kernel, points: [], differences: [], noise: 0.02, share: 0.25)
    expectClose(none.variance, 0.06, relative: 1e-12)
    #expect(none.bias == 0)
    let points = (0..<20).map { Double($0) / 19 }
    // A constant offset: all bias, as little variance as the grid has.
    let offset = SubsetError(
      kernel: kernel, points: points, differences: points.map { _ in -0.4 }, noise: 0.02,
      share: 0.25)
    expectClose(offset.bias, -0.4, relative: 0.01)
    #expect(offset.variance < 0.002)
    // A wave of variance 0.18 is smooth; independent signs of the same size are not.
    let wave = SubsetError(
      kernel: kernel, points: points, differences: points.map { 0.6 * scalarSin(5 * $0) },
      noise: 0.02, share: 0.25)
    #expect(wave.roughness == 0.05 && wave.variance > 0.05 && wave.variance < 0.8)
    var random = CounterRandom(seed: 1, purpose: "signs")
    let rough = SubsetError(
      kernel: kernel, points: points,
      differences: points.map { _ in random.uniform() < 0.5 ? 0.4 : -0.4 }, noise: 0.02, share: 0.25
    )
    #expect(rough.roughness == 0.8 && rough.variance > 0.08 && rough.variance < 0.3)
  }

  private func staged(
    _ count: Int, modelling: OptimizerOptions.Modelling = .aggregate,
    objective: Objective = .single
  ) throws -> Optimizer {
    var options = OptimizerOptions.default
    options.seed = 2
    options.initial = 6
    options.subsetShare = 0.25
    options.modelling = modelling
    let optimizer = try Optimizer(dimension: 2, objective: objective, options: options)
    for _ in 0..<count { try evaluate(optimizer) }
    return optimizer
  }

  /// One trial in two stages; the subset's score is 0.03 low.
  private func evaluate(_ optimizer: Optimizer) throws {
    let suggestion = try optimizer.ask()
    let value = cliff(suggestion.point)
    let full = (0..<optimizer.objective.taskCount).map { value - 0.01 * Double($0) }
    let goesOn = try optimizer.tellSubset(
      suggestion.number, scores: Scores(full.map { $0 - 0.03 }))
    if goesOn { try optimizer.tell(suggestion.number, scores: Scores(full)) }
  }

  @Test func start_isAlwaysFinished_andBothScoresAreKept() throws {
    let optimizer = try staged(6)
    #expect(optimizer.history.allSatisfy { $0.value != nil && $0.subset != nil })
    #expect(optimizer.cost == 6)
  }

  @Test func aPoorFirstStage_endsTheTrial_aGoodOneDoesNot() throws {
    let (poor, good) = (try staged(9), try staged(9))
    let number = try poor.ask().number
    #expect(try good.ask().number == number)
    let before = poor.cost
    let isFinished = try poor.tellSubset(number, scores: Scores([0.2]))
    #expect(!isFinished)
    #expect(poor.cost == before + 0.25 && poor.pending.isEmpty)
    #expect(poor.history.last?.endedAfterSubset == true && poor.history.last?.isFailed == false)
    #expect(try good.tellSubset(number, scores: Scores([0.95])))
    #expect(good.pending.map(\.number) == [number] && good.cost == before + 0.25)
    #expect(code { _ = try good.tellSubset(number, scores: Scores([0.95])) } == .invalidState)
    try good.tell(number, value: 0.97)
    #expect(good.cost == before + 1)
    #expect(good.history.last?.subset == Scores([0.95]))
    // What a first stage said changes what comes next; the best is one evaluated in full.
    for optimizer in [poor, good] {
      for _ in 0..<4 { try evaluate(optimizer) }
      let best = try optimizer.best(by: .observed)
      #expect(optimizer.history.first { $0.number == best.number }?.value == best.value)
      #expect(Set(optimizer.history.map(\.point)).count == optimizer.history.count)
    }
  }

  @Test func aTrialThatFailsAfterItsFirstStage_isFailed() throws {
    let optimizer = try staged(7)
    let number = try optimizer.ask().number
    #expect(try optimizer.tellSubset(number, scores: Scores([0.95])))
    try optimizer.tellFailed(number)
    #expect(optimizer.history.last?.isFailed == true && optimizer.history.last?.subset == nil)
  }

  @Test(arguments: OptimizerOptions.Modelling.allCases, Objective.Aggregate.allCases)
  func severalTasks_resumeBitForBit(
    modelling: OptimizerOptions.Modelling, aggregate: Objective.Aggregate
  ) throws {
    let target = try objective(aggregate, 2, floors: [0.4])
    let whole = try staged(11, modelling: modelling, objective: target)
    // Let one trial end after its first stage for certain, and leave one open between the two.
    let ended = try whole.ask().number
    let isFinished = try whole.tellSubset(ended, scores: Scores([0.11, 0.1]))
    #expect(!isFinished)
    let open = try whole.ask()
    let subset = Scores([0.95, 0.94])
    #expect(try whole.tellSubset(open.number, scores: subset))
    let resumed = try Optimizer(dimension: 2, objective: target, options: whole.options)
    resumed.reopen(open, subset: subset)
    for trial in whole.history.reversed() { try resumed.record(trial) }
    #expect(resumed.cost == whole.cost && resumed.history == whole.history)
    #expect(try resumed.ask() == whole.ask())
    try resumed.tell(open.number, scores: Scores([0.9, 0.9]))
    try whole.tell(open.number, scores: Scores([0.9, 0.9]))
    #expect(resumed.history == whole.history)
    #expect(try resumed.ask() == whole.ask())
    #expect(try resumed.best() == whole.best())
  }

  @Test func wrongFirstStages_areRefusedAndChangeNothing() throws {
    let plain = try Optimizer(dimension: 2)
    let asked = try plain.ask()
    #expect(code { _ = try plain.tellSubset(asked.number, scores: Scores([1])) } == .invalidState)
    let optimizer = try staged(6)
    let number = try optimizer.ask().number
    #expect(code { _ = try optimizer.tellSubset(99, scores: Scores([1])) } == .invalidState)
    #expect(
      code { _ = try optimizer.tellSubset(number, scores: Scores([1, 2])) } == .invalidArgument)
    #expect(code { _ = try optimizer.tellSubset(number, scores: Scores([.nan])) } == .nonFinite)
    #expect(optimizer.pending.map(\.number) == [number] && optimizer.cost == 6)
  }

  @Test func twoStages_costLessForTheSameScore() throws {
    let optimizer = try staged(40)
    #expect(optimizer.history.contains { $0.endedAfterSubset })
    #expect(optimizer.cost < 40)
    #expect(try optimizer.best(by: .observed).value > 0.88)
  }
}
