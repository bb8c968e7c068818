import Glibc
import Testing

@testable import DFMergeBO
@testable import DFMergeCore

@Suite struct ObjectiveTests {
  let tasks = ["a", "b", "c"]

  func value(
    _ kind: Objective.Aggregate, _ scores: [Double], _ variances: [Double] = [],
    weights: [String: Double] = [:]
  ) throws -> (value: Double, variance: Double?)? {
    try Objective(tasks: tasks, aggregate: kind, weights: weights)
      .value(scores, variances: variances)
  }

  @Test func testValues_followTheirFormulas() throws {
    let scores = [0.5, 0.8, 0.2]
    let variances = [0.01, 0.02, 0.03]
    let mean = try #require(try value(.mean, scores, variances))
    #expect(abs(mean.value - 0.5) < 1e-15)
    #expect(abs(try #require(mean.variance) - 0.06 / 9) < 1e-15)
    let weights = ["a": 1.0, "b": 2.0, "c": 1.0]
    let weighted = try #require(try value(.weighted, scores, variances, weights: weights))
    #expect(abs(weighted.value - 2.3 / 4) < 1e-15)
    #expect(abs(try #require(weighted.variance) - 0.12 / 16) < 1e-15)
    let minimum = try #require(try value(.minimum, scores, variances))
    #expect(minimum.value == 0.2 && minimum.variance == 0.03)
    let geometric = try #require(try value(.geometric, scores, variances))
    #expect(abs(geometric.value - cbrt(0.5 * 0.8 * 0.2)) < 1e-15)
    let relative: Double = 0.04 + 0.03125 + 0.75
    let expected: Double = geometric.value * geometric.value * relative / 9
    #expect(abs(try #require(geometric.variance) - expected) < 1e-15)
  }

  @Test(arguments: Objective.Aggregate.allCases)
  func testNonFiniteScores_areFailures(_ kind: Objective.Aggregate) throws {
    let weights = kind == .weighted ? ["a": 1.0, "b": 1, "c": 1] : [:]
    for bad in [Double.nan, .infinity, -.infinity] {
      #expect(try value(kind, [0.5, bad, 0.5], weights: weights) == nil)
    }
  }

  @Test func testGeometricMean_atAndBelowZero() throws {
    #expect(try #require(try value(.geometric, [0.5, 0, 0.5], [1, 1, 1])).value == 0)
    #expect(try value(.geometric, [0.5, -0.1, 0.5]) == nil)
  }

  @Test func testUnknownVariance_makesTheWholeUnknown() throws {
    #expect(try #require(try value(.mean, [1, 2, 3], [0.1, .nan, 0.1])).variance == nil)
    #expect(try #require(try value(.mean, [1, 2, 3])).variance == nil)
  }

  @Test func testWeights_mustCoverTheTasks() {
    #expect(throws: DFMergeError.self) {
      try Objective(tasks: tasks, aggregate: .weighted, weights: ["a": 1])
    }
    #expect(throws: DFMergeError.self) {
      try Objective(tasks: tasks, aggregate: .weighted, weights: ["a": 0, "b": 0, "c": 0])
    }
    #expect(throws: DFMergeError.self) {
      try Objective(tasks: tasks, aggregate: .mean, weights: ["a": 1])
    }
  }

  @Test func testSumBeyondTheRange_isAFailureAndItsVarianceUnknown() throws {
    #expect(try value(.mean, [1e308, 1e308, 1e308]) == nil)
    // s^2 underflows: what v / s^2 would be is not known.
    let tiny = try #require(try value(.geometric, [1e-170, 1e-170, 1e-170], [1, 1, 1]))
    #expect(abs(tiny.value / 1e-170 - 1) < 1e-12 && tiny.variance == nil)
    let weights = ["a": 1e-200, "b": 1e-200, "c": 1e-200]
    let weighted = try #require(try value(.weighted, [1, 2, 3], [1, 1, 1], weights: weights))
    #expect(abs(weighted.value - 2) < 1e-12 && weighted.variance == nil)
  }
}
