import DFMergeCore
import Testing

@testable import DFMergeBO

@Suite struct OptimizerEdgeTests {
  private static let presets: [OptimizerOptions] = [.default, .paper]

  private func options(_ preset: OptimizerOptions, initial: Int = 3) -> OptimizerOptions {
    var options = preset
    options.initial = initial
    return options
  }

  private func expectValid(_ optimizer: Optimizer) throws {
    let points = optimizer.history.map(\.point)
    #expect(points.allSatisfy { $0.allSatisfy { (0...1).contains($0) } })
    #expect(Set(points).count == points.count, "a point was repeated")
    let best = try optimizer.best()
    #expect(best.mean.isFinite && best.sd >= 0 && best.sd.isFinite)
  }

  @Test(arguments: 1...12)
  func everyDimension(d: Int) throws {
    let optimizer = try run(Optimizer(dimension: d, options: options(.default)), 6, cliff)
    try expectValid(optimizer)
    #expect(try optimizer.lengthScales().count == d)
  }

  @Test(arguments: presets)
  func equalScores_neitherStallNorRepeat(preset: OptimizerOptions) throws {
    try expectValid(run(Optimizer(dimension: 2, options: options(preset)), 8) { _ in 0.7 })
  }

  @Test(arguments: presets, [0x1p-1060, 1e-12, 1e12, 1e300])
  func scoresOfAnyMagnitude(preset: OptimizerOptions, magnitude: Double) throws {
    let optimizer = try run(Optimizer(dimension: 2, options: options(preset)), 8) {
      (cliff($0) - 0.5) * magnitude
    }
    try expectValid(optimizer)
  }

  @Test func affineChangesOfTheScore_leaveTheDefaultsPointsAlone() throws {
    // Powers of two, so that standardising gives the same bits.
    let plain = try run(Optimizer(dimension: 2, options: options(.default)), 8, cliff)
    let scaled = try run(Optimizer(dimension: 2, options: options(.default)), 8) {
      cliff($0) * 0x1p40
    }
    for (a, b) in zip(plain.history, scaled.history) {
      for (x, y) in zip(a.point, b.point) { #expect(abs(x - y) < 1e-4) }
    }
  }

  @Test(arguments: presets)
  func noTrialOne_two(preset: OptimizerOptions) throws {
    let empty = try Optimizer(dimension: 2, options: options(preset, initial: 0))
    #expect(code { _ = try empty.best() } == .invalidState)
    #expect(code { _ = try empty.slices() } == .invalidState)
    #expect(try empty.ask().origin == .initial)
    try empty.tell(0, value: 0.5)
    #expect(try empty.ask().origin == .search)
    try empty.tell(1, value: 0.6)
    try run(empty, 2, cliff)
    try expectValid(empty)
  }

  @Test(arguments: presets)
  func duplicatedAndClusteredPoints_areModelled(preset: OptimizerOptions) throws {
    let optimizer = try Optimizer(dimension: 2, options: options(preset))
    for i in 0..<6 {
      try optimizer.record(
        Trial(number: i, point: [0.5, 0.5], origin: .initial, value: 0.7 + 0.01 * Double(i)))
    }
    for i in 6..<10 {
      try optimizer.record(
        Trial(
          number: i, point: [0.5 + 1e-12 * Double(i), 0.5], origin: .initial, value: 0.72))
    }
    let suggestion = try optimizer.ask()
    #expect(suggestion.point != [0.5, 0.5])
    #expect(try optimizer.best().mean.isFinite)
  }

  @Test func oneDimension_findsTheEndOfTheInterval() throws {
    // The optimum lies on the boundary, where a repeated point is the easy mistake.
    let optimizer = try run(Optimizer(dimension: 1, options: options(.default)), 12) { $0[0] }
    try expectValid(optimizer)
    #expect(try optimizer.best(by: .observed).value > 0.999)
  }

  @Test func beyondTheSobolTable_theStartIsALatinHypercube() throws {
    let optimizer = try run(Optimizer(dimension: 40, options: options(.default)), 5, cliff)
    try expectValid(optimizer)
  }

  @Test func moreTrialsThanTheFitReads_areAllConditionedOn() throws {
    let optimizer = try Optimizer(dimension: 1, options: options(.default))
    for i in 0..<(HierarchicalModel.fitLimit + 20) {
      let x = Double(i) / Double(HierarchicalModel.fitLimit + 20)
      try optimizer.record(
        Trial(number: i, point: [x], origin: .initial, value: scalarSin(5 * x), variance: 1e-8))
    }
    // Above the clipping floor, that is.
    for x in [0.1, 0.33, 0.6] {
      #expect(abs(try optimizer.predict([x]).mean - scalarSin(5 * x)) < 0.01)
    }
  }

  @Test func wrongArguments_areRefusedAndChangeNothing() throws {
    #expect(code { _ = try Optimizer(dimension: 0) } == .invalidArgument)
    #expect(code { _ = try Optimizer(dimension: 1001) } == .invalidArgument)
    let bad: [(inout OptimizerOptions) -> Void] = [
      { $0.initial = -1 }, { $0.informed = [[0.5]] }, { $0.informed = [[0.5, 1.5]] },
      { $0.informed = [[0.5, .nan]] }, { $0.acquisition = .expectedImprovement(xi: .nan) },
      { $0.acquisition = .upperConfidenceBound(kappa: -1) },
      { $0.acquisition = .logNoisyExpectedImprovement(samples: 0) },
      { $0.acquisition = .logNoisyExpectedImprovement(samples: .max) },
      {
        $0.design = .uniform
        $0.seed = 1 << 32
      },
    ]
    for change in bad {
      var options = OptimizerOptions.default
      change(&options)
      #expect(code { _ = try Optimizer(dimension: 2, options: options) } == .invalidOption)
    }
    let optimizer = try Optimizer(dimension: 2)
    let asked = try optimizer.ask()
    #expect(code { try optimizer.tell(7, value: 1) } == .invalidState)
    #expect(code { try optimizer.tell(0, value: .nan) } == .nonFinite)
    #expect(code { try optimizer.tell(0, value: 1, variance: .infinity) } == .nonFinite)
    #expect(code { try optimizer.tell(0, value: 1, variance: -1) } == .invalidArgument)
    #expect(code { try optimizer.enqueue([[0.5]]) } == .invalidArgument)
    #expect(code { try optimizer.enqueue([[0.5, -0.1]]) } == .invalidArgument)
    for trial in [
      Trial(number: -1, point: [0, 0], origin: .search, value: 1),
      Trial(number: .max, point: [0, 0], origin: .search, value: 1),
      Trial(number: 3, point: [0], origin: .search, value: 1),
      Trial(number: 3, point: [0, 2], origin: .search, value: 1),
    ] {
      #expect(code { try optimizer.record(trial) } == .invalidArgument)
    }
    #expect(optimizer.history.isEmpty && optimizer.pending == [asked])
    try optimizer.tell(0, value: 1)
    #expect(code { try optimizer.tell(0, value: 1) } == .invalidState)
    #expect(code { try optimizer.tellFailed(0) } == .invalidState)
    #expect(code { try optimizer.record(optimizer.history[0]) } == .invalidState)
    #expect(code { _ = try optimizer.predict([0.5, 7]) } == .invalidArgument)
    #expect(code { _ = try optimizer.slices(at: [0.5]) } == .invalidArgument)
    #expect(code { _ = try optimizer.slices(count: 1) } == .invalidArgument)
  }
}
