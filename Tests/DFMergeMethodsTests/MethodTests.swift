import Glibc
import Testing

@testable import DFMergeCore
@testable import DFMergeEngine
@testable import DFMergeMethods

/// Each method against its formula, written out once more in double.
@Suite struct MethodTests {
  static let sizes = [1, 0, 7, 1_000, 70_001]
  let data = RandomModels(sizes: MethodTests.sizes, models: 3, seed: 11)

  /// Applies `formula(base, models, fishers)` to every element.
  func expected(
    _ formula: (Double, [Double], [Double]) -> Double
  ) -> (values: [[Double]], scale: [[Double]]) {
    var values: [[Double]] = []
    var scale: [[Double]] = []
    for tensor in data.sizes.indices {
      var row: [Double] = []
      for element in 0..<data.sizes[tensor] {
        row.append(
          formula(
            Double(data.base[tensor][element]),
            data.models.map { Double($0[tensor][element]) },
            data.fishers.map { Double($0[tensor][element]) }))
      }
      values.append(row)
      scale.append(data.base[tensor].map { abs(Double($0)) })
    }
    return (values, scale)
  }

  @Test func testAverage_matchesItsFormula() throws {
    let weights = [1.0, 2.0, 0.5]
    let (values, scale) = expected { _, models, _ in
      zip(weights, models).reduce(0) { $0 + $1.0 * $1.1 } / 3.5
    }
    let found = try data.merge("average", "{\"weights\":[1,2,0.5]}")
    #expect(relativeError(found, values, scale: scale) < 1e-6)
  }

  @Test func testTaskArithmetic_matchesItsFormula() throws {
    let c = [0.3, -0.2, 1.1]
    let (values, scale) = expected { base, models, _ in
      base + zip(c, models).reduce(0) { $0 + $1.0 * ($1.1 - base) }
    }
    let found = try data.merge("task_arithmetic", "{\"coefficients\":[0.3,-0.2,1.1]}")
    #expect(relativeError(found, values, scale: scale) < 1e-6)
  }

  @Test func testFisherMerging_matchesItsFormula() throws {
    let norms = data.fishers.map { model in
      model.joined().reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    }
    let (values, scale) = expected { _, models, fishers in
      var top = 0.0
      var bottom = 0.0
      for m in models.indices {
        let g = (m == 0 ? max(fishers[m], 1e-6) : fishers[m]) / norms[m]
        top += g * models[m]
        bottom += g
      }
      return top / bottom
    }
    #expect(relativeError(try data.merge("fisher"), values, scale: scale) < 1e-6)
  }

  @Test(arguments: [1.0, 0.5, 0.3])
  func testDFMerge_matchesItsFormula(_ exponent: Double) throws {
    let c = [0.9, 0.2, 0.0]
    let (values, scale) = expected { base, models, fishers in
      var top = 0.0
      var bottom = 0.0
      for m in models.indices {
        let w = power(fishers[m] + 1e-12, exponent)
        top += w * c[m] * (models[m] - base)
        bottom += w
      }
      return base + 3 * top / bottom
    }
    let found = try data.merge(
      "df_merge", "{\"coefficients\":[0.9,0.2,0],\"exponent\":\(exponent)}")
    #expect(relativeError(found, values, scale: scale) < 1e-6)
  }

  // MARK: Identities

  @Test func testDFMerge_withEqualFishersIsTaskArithmetic() throws {
    let equal = data.fishers.map { _ in data.fishers[0] }
    let merged = try data.merge("df_merge", "{\"coefficients\":[0.9,0.2,0.5]}", fishers: equal)
    let plain = try data.merge("task_arithmetic", "{\"coefficients\":[0.9,0.2,0.5]}")
    let values = plain.map { $0.map(Double.init) }
    #expect(relativeError(merged, values, scale: values.map { $0.map(abs) }) < 1e-6)
  }

  @Test func testDFMerge_withExponentZeroIsTaskArithmeticBitForBit() throws {
    let merged = try data.merge("df_merge", "{\"coefficients\":[0.9,0.2,0.5],\"exponent\":0}")
    #expect(merged == (try data.merge("task_arithmetic", "{\"coefficients\":[0.9,0.2,0.5]}")))
  }

  @Test(arguments: ["task_arithmetic", "df_merge", "average"])
  func testOneModelAtOne_isReturnedBitForBit(_ method: String) throws {
    let options = method == "average" ? "{}" : "{\"coefficients\":1}"
    for model in data.models.indices {
      let merged = try data.merge(method, options, order: [model])
      for (found, given) in zip(merged, data.models[model]) {
        #expect(found.map(\.bitPattern) == given.map(\.bitPattern))
      }
    }
  }

  @Test(arguments: MethodRegistry.infos.filter(\.isPermutationInvariant).map(\.id))
  func testPermutation_changesNothingBeyondTheLastBit(_ method: String) throws {
    let one = try data.merge(method, order: [0, 1, 2])
    let other = try data.merge(method, order: [2, 0, 1])
    let values = one.map { $0.map(Double.init) }
    #expect(relativeError(other, values, scale: values.map { $0.map(abs) }) < 2.5e-7)
  }

  /// Python's tests have the Gram matrices that some take.
  @Test(arguments: MethodRegistry.infos.filter { $0.modelData != .gram }.map(\.id))
  func testThreads_changeNoBit(_ method: String) throws {
    let counts = try #require(MethodRegistry.infos.first { $0.id == method }).modelCounts
    let models = min(max(3, counts.lowerBound), counts.upperBound)
    let data = RandomModels(sizes: [300_000, 1, 7, 0, 1031], models: models, seed: 4)
    let one = try data.merge(method, threads: 1)
    for threads in [2, 3, 8] { #expect(try data.merge(method, threads: threads) == one) }
  }

  private func power(_ x: Double, _ p: Double) -> Double {
    p == 1 ? x : p == 0.5 ? x.squareRoot() : Glibc.pow(x, p)
  }
}
