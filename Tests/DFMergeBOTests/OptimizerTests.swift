import DFMergeCore
import Testing

@testable import DFMergeBO

/// A merge-like score: quantised, with a cliff where the coefficients' sum is too large.
func cliff(_ x: [Double]) -> Double {
  let sum = x.reduce(0, +)
  if sum > 1.6 { return 0.1 }
  let loss = x.enumerated().reduce(0.0) { total, item in
    let u = item.element - 0.25 - 0.1 * Double(item.offset)
    return total + u * u
  }
  return ((0.9 - loss) * 300).rounded() / 300
}

/// Runs an optimiser for `count` trials and returns it.
@discardableResult
func run(
  _ optimizer: Optimizer, _ count: Int, _ score: ([Double]) -> Double
) throws -> Optimizer {
  for _ in 0..<count {
    let suggestion = try optimizer.ask()
    try optimizer.tell(suggestion.number, value: score(suggestion.point))
  }
  return optimizer
}

@Suite struct OptimizerTests {
  private func options(_ preset: OptimizerOptions, seed: UInt64 = 5) -> OptimizerOptions {
    var options = preset
    options.seed = seed
    options.initial = 5
    return options
  }

  @Test func sameSeed_asksTheSame_otherSeedDoesNot() throws {
    let first = try run(Optimizer(dimension: 3, options: options(.default)), 9, cliff)
    let second = try run(Optimizer(dimension: 3, options: options(.default)), 9, cliff)
    let third = try run(Optimizer(dimension: 3, options: options(.default, seed: 6)), 9, cliff)
    #expect(first.history == second.history)
    #expect(first.history != third.history)
    #expect(first.history.map(\.number) == Array(0..<9))
    #expect(
      first.history.map(\.origin) == Array(repeating: .initial, count: 5)
        + Array(repeating: .search, count: 4))
  }

  @Test(arguments: [OptimizerOptions.default, OptimizerOptions.paper])
  func recordingTheTrials_continuesBitForBit_afterEveryTrial(preset: OptimizerOptions) throws {
    let full = try run(Optimizer(dimension: 2, options: options(preset)), 9, cliff)
    for kept in 0..<9 {
      let resumed = try Optimizer(dimension: 2, options: options(preset))
      // In any order: results of several workers come as they come.
      for trial in full.history.prefix(kept).reversed() { try resumed.record(trial) }
      let next = try resumed.ask()
      #expect(next.point == full.history[kept].point, "after \(kept) trials")
      #expect(next.number == kept)
      #expect(next.origin == full.history[kept].origin)
    }
  }

  @Test func askingForReports_doesNotChangeTheNextPoint() throws {
    let plain = try run(Optimizer(dimension: 2, options: options(.default)), 7, cliff)
    let curious = try Optimizer(dimension: 2, options: options(.default))
    for _ in 0..<7 {
      try run(curious, 1, cliff)
      _ = try curious.best(by: .posteriorMean)
      _ = try curious.slices(count: 3)
      _ = try curious.lengthScales()
    }
    #expect(try curious.ask() == plain.ask())
  }

  @Test func outstandingAsks_areDistinctAndSettleInAnyOrder() throws {
    let optimizer = try run(Optimizer(dimension: 2, options: options(.default)), 6, cliff)
    let batch = try (0..<4).map { _ in try optimizer.ask() }
    #expect(batch.map(\.number) == [6, 7, 8, 9])
    #expect(optimizer.pending == batch)
    for (i, a) in batch.enumerated() {
      for b in batch[..<i] {
        #expect(zip(a.point, b.point).contains { abs($0 - $1) > 1e-3 }, "\(a) and \(b)")
      }
    }
    for suggestion in batch.reversed() {
      try optimizer.tell(suggestion.number, value: cliff(suggestion.point))
    }
    #expect(optimizer.pending.isEmpty)
    #expect(optimizer.history.map(\.number) == Array(0..<10))
  }

  @Test func moreAsksThanInitialPoints_beforeAnyTell_stillSpread() throws {
    let optimizer = try Optimizer(dimension: 2, options: options(.default))
    let points = try (0..<13).map { _ in try optimizer.ask().point }
    #expect(Set(points).count == 13)
  }

  @Test func queuedAndInformedPoints_comeFirst_once() throws {
    var options = options(.default)
    options.informed = OptimizerOptions.diagonalPoints(dimension: 2)  // 0.5 twice: 1/d and 0.5
    let optimizer = try Optimizer(dimension: 2, options: options)
    try optimizer.enqueue([[0.9, 0.1], [0.3, 0.3]])
    try run(optimizer, 6, cliff)
    #expect(optimizer.history[0].point == [0.9, 0.1])
    #expect(optimizer.history[1].point == [0.3, 0.3])
    #expect(optimizer.history[2].point == [0.5, 0.5])
    #expect(optimizer.history[3].point == [0.15, 0.15])
    #expect(
      optimizer.history.map(\.origin)
        == [.informed, .informed, .informed, .informed, .initial, .search])
    // A resumed run queues the same list again without evaluating it twice.
    try optimizer.enqueue([[0.9, 0.1], [0.2, 0.2]])
    #expect(try optimizer.ask().point == [0.2, 0.2])
  }

  @Test func failedTrials_countAsWorstAndAreNeverBest() throws {
    let optimizer = try Optimizer(dimension: 2, options: options(.default))
    for _ in 0..<14 {
      let suggestion = try optimizer.ask()
      // The better half of the space fails: a model without the failures would keep going there.
      if suggestion.point[0] > 0.5 {
        try optimizer.tellFailed(suggestion.number)
      } else {
        try optimizer.tell(suggestion.number, value: suggestion.point[0])
      }
    }
    let failed = optimizer.history.filter(\.isFailed)
    #expect(!failed.isEmpty)
    for criterion in [Optimizer.Criterion.observed, .posteriorMean] {
      let best = try optimizer.best(by: criterion)
      #expect(!failed.map(\.number).contains(best.number))
    }
    #expect(try optimizer.best(by: .observed).value > 0.3)
    #expect(optimizer.history.suffix(6).filter(\.isFailed).count < 6)
    let (lowest, _) = try optimizer.predict(failed[0].point)
    #expect(lowest < (try optimizer.best(by: .observed)).value)
  }

  @Test func allTrialsFailing_keepsAskingNewPoints_andHasNoBest() throws {
    let optimizer = try Optimizer(dimension: 1, options: options(.default))
    for _ in 0..<12 { try optimizer.tellFailed(optimizer.ask().number) }
    #expect(Set(optimizer.history.map(\.point)).count == 12)
    #expect(code { _ = try optimizer.best() } == .allTrialsFailed)
    let suggestion = try optimizer.ask()
    try optimizer.tell(suggestion.number, value: 0.5)
    #expect(try optimizer.best().number == suggestion.number)
    #expect(try optimizer.ask().origin == .search)
  }

  @Test func best_byPosteriorMean_distrustsALuckyScore() throws {
    // A broad hill around 0.5, and one score far off that a noise variance says to distrust.
    let optimizer = try Optimizer(dimension: 1, options: options(.default))
    for i in 0..<12 {
      let x = Double(i) / 11
      let value = 1 - 4 * (x - 0.5) * (x - 0.5)
      try optimizer.record(
        Trial(number: i, point: [x], origin: .initial, value: value, variance: 1e-6))
    }
    try optimizer.record(
      Trial(number: 12, point: [0.08], origin: .search, value: 1.2, variance: 1))
    #expect(try optimizer.best(by: .observed).number == 12)
    let best = try optimizer.best(by: .posteriorMean)
    #expect(best.number == 5 || best.number == 6)
    expectClose(best.mean, best.value, relative: 0.01)
    #expect(best.sd < 0.01)
    let lucky = try optimizer.best(by: .observed)
    #expect(lucky.mean < 0.6 && lucky.value == 1.2)
  }

  @Test func slices_goThroughThePosterior() throws {
    let optimizer = try run(Optimizer(dimension: 2, options: options(.default)), 8, cliff)
    let best = try optimizer.best()
    let slices = try optimizer.slices()
    #expect(slices.map(\.dimension) == [0, 1])
    #expect(slices[0].at.count == 33 && slices[0].at.first == 0 && slices[0].at.last == 1)
    for k in 0..<2 {
      var x = best.point
      x[k] = slices[k].at[7]
      let (mean, sd) = try optimizer.predict(x)
      #expect(slices[k].mean[7] == mean && slices[k].sd[7] == sd)
    }
    #expect(try optimizer.slices(at: [0.1, 0.2], count: 2)[1].mean.count == 2)
    #expect(try optimizer.lengthScales().count == 2)
  }
}

/// The code of the error that `body` throws; nil where it throws none of ours.
func code(_ body: () throws -> Void) -> DFMergeError.Code? {
  do { try body() } catch { return (error as? DFMergeError)?.code }
  return nil
}
