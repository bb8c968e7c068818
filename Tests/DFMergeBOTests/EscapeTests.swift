import DFMergeCore
import Testing

@testable import DFMergeBO

/// What the search does on a plateau, and where it has settled.
@Suite struct EscapeTests {
  /// A merge that scores at chance level, within two steps, unless its coefficients are small.
  private func collapsed(_ x: [Double]) -> Double {
    let sum = x.reduce(0, +)
    guard sum < 2.2 else { return 0.2 + 0.001 * Double(Int(7 * sum) % 3) }
    let loss = x.reduce(0.0) { $0 + ($1 - 0.12) * ($1 - 0.12) }
    return ((0.6 - 0.8 * loss) * 1000).rounded() / 1000
  }

  @Test func scoresWithinSixSteps_areFlat_othersAreNot() {
    #expect(Plateau.isFlat([0.2, 0.2, 0.2]))
    #expect(Plateau.isFlat([0.201, 0.203, 0.2, 0.206]))
    #expect(!Plateau.isFlat([0.201, 0.203, 0.2, 0.207]))
    #expect(Plateau.isFlat([1, 1 + 1e-12, 1 - 1e-12]))
    // Continuous scores, even evenly spaced ones, are not: fewer than eight are not asked about.
    let even = (0..<Plateau.fewest).map { 0.1 * Double($0) }
    #expect(Plateau.point(scores: even, known: [], dimension: 2) == nil)
    #expect(Plateau.point(scores: Array(even.dropLast()), known: [], dimension: 2) == nil)
  }

  @Test func flatStart_isFollowedByTheDiagonal() throws {
    let flat = [Double](repeating: 0.2, count: Plateau.fewest)
    var known: [[Double]] = []
    for position in Plateau.positions {
      let point = try #require(Plateau.point(scores: flat, known: known, dimension: 3))
      #expect(point == [position, position, position])
      known.append(point)
    }
    #expect(Plateau.point(scores: flat, known: known, dimension: 3) == nil)
  }

  @Test func collapsedStart_isLeft() throws {
    // Ten points at the corner of a ten-dimensional cube: no slope leads back.
    func best(_ leaves: Bool) throws -> Double {
      var options = OptimizerOptions.default
      options.leavesPlateaus = leaves
      let optimizer = try Optimizer(dimension: 10, options: options)
      var random = CounterRandom(seed: 3, purpose: "collapsed")
      try optimizer.enqueue(
        (0..<10).map { _ in (0..<10).map { _ in 0.5 + 0.5 * random.uniform() } })
      return try run(optimizer, 18, collapsed).best(by: .observed).value
    }
    #expect(try best(true) > 0.5)
    #expect(try best(false) < 0.3)
  }

  @Test func stagnation_countsTrialsOfTheSearchWithoutProgress() throws {
    let optimizer = try Optimizer(dimension: 1)
    func record(_ value: Double?, _ origin: Origin = .search) throws -> Stagnation {
      let number = optimizer.history.count
      try optimizer.record(
        Trial(number: number, point: [0.5], origin: origin, value: value))
      return Stagnation(optimizer.history, dimension: 1)
    }
    for value in [0, 0.1, 0.2, 0.3] { #expect(try record(value, .initial).idle == 0) }
    #expect(try record(0.9).idle == 0)
    // Progress is more than 1 % of the gain over the start's median, which is 0.2.
    #expect(try record(0.906).idle == 1)
    #expect(try record(nil).idle == 1)
    #expect(try record(0.915).idle == 0)

    let usual = OptimizerOptions.default.acquisition
    for expected in 1...9 {
      let stagnation = try record(0.5)
      #expect(stagnation.idle == expected)
      let late = expected - Stagnation.patience - 1
      #expect((stagnation.acquisition(usual) == usual) == (late < 0 || late % 2 == 1))
    }
  }

  @Test func settledSearch_looksElsewhere() throws {
    // One hill, polished to the last digit by as many trials as patience allows.
    func uncertainty(_ widens: Bool, patient: Bool) throws -> Double {
      var options = OptimizerOptions.default
      options.widensWhenStalled = widens
      let optimizer = try Optimizer(dimension: 2, options: options)
      var points = [[0.1, 0.9], [0.9, 0.2], [0.6, 0.6], [0.2, 0.4], [0.45, 0.15]]
      points += (0..<5).map { [0.05 + 0.2 * Double($0), 0.75 - 0.12 * Double($0)] }
      let start = points.count
      points.append([0.3, 0.3])
      for k in 0..<(Stagnation.patience + (patient ? 1 : 2)) {
        let angle = Double(k)
        points.append([0.3 + 0.02 * scalarCos(angle), 0.3 + 0.02 * scalarSin(angle)])
      }
      for (number, point) in points.enumerated() {
        let (u, v) = (point[0] - 0.3, point[1] - 0.3)
        try optimizer.record(
          Trial(
            number: number, point: point, origin: number < start ? .initial : .search,
            value: scalarExp(-8 * (u * u + v * v))))
      }
      return try optimizer.predict(optimizer.ask().point).sd
    }
    #expect(try uncertainty(true, patient: true) == uncertainty(false, patient: true))
    #expect(
      try uncertainty(true, patient: false) > 1.1 * uncertainty(false, patient: false))
  }
}
