import Testing

@testable import DFMergeCore
@testable import DFMergeEngine
@testable import DFMergeMethods

/// TIES against its definition, written out once more over whole models.
@Suite struct TIESTests {
  static let sizes = [1, 0, 7, 1_000, 20_001]
  let data = RandomModels(sizes: TIESTests.sizes, models: 3, seed: 21)

  struct Setting: Sendable {
    var density = [0.2, 0.2, 0.2]
    var weights = [1.0, 1, 1]
    var lambda = 1.0
    var aggregate = "mean"
    var election = "mass"
    var zeroSign = "majority"
    var scope = "model"
    var trim = "authors"

    var json: String {
      "{\"density\":\(density),\"weights\":\(weights),\"lambda\":\(lambda),"
        + "\"aggregate\":\"\(aggregate)\",\"election\":\"\(election)\","
        + "\"zero_sign\":\"\(zeroSign)\",\"scope\":\"\(scope)\",\"trim\":\"\(trim)\"}"
    }
  }

  /// The elements of `values` that are kept: those not below the k-th largest magnitude.
  static func trimmed(_ values: [Float], _ density: Double, _ setting: Setting) -> [Double] {
    let kept = Int(Double(values.count) * density) + (setting.trim == "authors" ? 1 : 0)
    if kept == 0 { return values.map { _ in 0 } }
    if kept >= values.count { return values.map(Double.init) }
    let threshold = values.map(abs).sorted()[values.count - kept]
    return values.map { abs($0) >= threshold ? Double($0) : 0 }
  }

  /// `base + lambda tau` by element, for float task vectors whose differences are exact.
  static func reference(
    base: [[Float]], models: [[[Float]]], _ setting: Setting
  ) -> [[Double]] {
    let tau = models.map { model in
      zip(model, base).map { zip($0, $1).map { $0 - $1 } }
    }
    let terms: [[Double]] = tau.indices.map { m in
      let kept =
        setting.scope == "model"
        ? trimmed(Array(tau[m].joined()), setting.density[m], setting)
        : tau[m].flatMap { trimmed($0, setting.density[m], setting) }
      return kept.map { $0 * setting.weights[m] }
    }
    func vote(_ term: Double) -> Double {
      if setting.election == "mass" { return term }
      return term > 0 ? 1 : term < 0 ? -1 : 0
    }
    let votes = terms[0].indices.map { i in terms.reduce(0.0) { $0 + vote($1[i]) } }
    let balance = votes.count { $0 > 0 } - votes.count { $0 < 0 }
    let tie =
      switch setting.zeroSign {
      case "positive": 1.0
      case "negative": -1.0
      case "none": 0.0
      default: balance > 0 ? 1.0 : balance < 0 || setting.aggregate != "max" ? -1.0 : 0.0
      }
    let merged: [Double] = votes.indices.map { i in
      let sign = votes[i] > 0 ? 1 : votes[i] < 0 ? -1 : tie
      let agreeing = terms.indices.filter { terms[$0][i] * sign > 0 }
      guard !agreeing.isEmpty else { return 0 }
      let sum = agreeing.reduce(0) { $0 + terms[$1][i] }
      switch setting.aggregate {
      case "sum": return sum
      case "max": return sign * (agreeing.map { abs(terms[$0][i]) }.max() ?? 0)
      default: return sum / agreeing.reduce(0) { $0 + setting.weights[$1] }
      }
    }
    var next = 0
    return base.map { tensor in
      tensor.map { value in
        defer { next += 1 }
        return Double(value) + setting.lambda * merged[next]
      }
    }
  }

  private func check(
    _ setting: Setting, _ data: RandomModels, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let expected = Self.reference(base: data.base, models: data.models, setting)
    let found = try data.merge("ties", setting.json)
    let scale = data.base.map { $0.map { abs(Double($0)) } }
    #expect(
      relativeError(found, expected, scale: scale) < 1e-6, "\(setting.json)",
      sourceLocation: sourceLocation)
  }

  @Test(arguments: ["mean", "sum", "max"], ["mass", "count"])
  func testEveryAggregateAndElection_matchesTheDefinition(
    _ aggregate: String, _ election: String
  ) throws {
    try check(Setting(aggregate: aggregate, election: election), data)
    try check(
      Setting(
        density: [0.5, 1, 0.01], weights: [1, 0.25, 3], lambda: 0.7, aggregate: aggregate,
        election: election), data)
  }

  @Test(arguments: ["majority", "positive", "negative", "none"], ["model", "tensor"])
  func testTies_matchTheDefinition(_ zeroSign: String, _ scope: String) throws {
    // A coarse grid: equal magnitudes, exact zeros and terms that cancel are common.
    let coarse = RandomModels(sizes: Self.sizes, models: 3, seed: 22, grid: 0x1p-5)
    for trim in ["authors", "exact"] {
      for aggregate in ["mean", "sum", "max"] {
        try check(
          Setting(
            density: [0.3, 0.5, 0.9], aggregate: aggregate, zeroSign: zeroSign, scope: scope,
            trim: trim), coarse)
      }
    }
  }

  @Test(arguments: [0.0, 1e-5, 0.99999, 1])
  func testExtremeDensities_matchTheDefinition(_ density: Double) throws {
    for trim in ["authors", "exact"] {
      for scope in ["model", "tensor"] {
        try check(
          Setting(
            density: [density, density, density], zeroSign: "positive", scope: scope, trim: trim),
          data)
      }
    }
  }

  /// The published example of the authors' code: N = 16, 9 elements kept per model.
  @Test func testAuthorsExample_isMet() throws {
    let golden = GoldenModels()
    for (aggregate, expected) in [("mean", golden.tiesMean), ("sum", golden.tiesSum)] {
      let merged = try golden.data.merge(
        "ties", "{\"density\":0.5,\"aggregate\":\"\(aggregate)\"}")
      let change = zip(merged.joined(), golden.data.base.joined()).map { Double($0) - Double($1) }
      for (found, right) in zip(change, expected) { #expect(abs(found - right) < 2e-7) }
    }
  }

  @Test func testOneModelKeptWhole_isReturned() throws {
    let merged = try data.merge("ties", "{\"density\":1}", order: [1])
    let values = data.models[1].map { $0.map(Double.init) }
    #expect(relativeError(merged, values, scale: values.map { $0.map(abs) }) < 1e-7)
  }

  @Test func testNaN_isReportedByTensorAndModel() throws {
    let broken = RandomModels(sizes: [5, 9], models: 2, seed: 1, nanIn: (model: 1, tensor: 1))
    let error = #expect(throws: DFMergeError.self) { try broken.merge("ties") }
    #expect(error?.code == .nonFinite)
    #expect(error?.message.contains("'t1' of model 'm1'") == true)
  }

  /// Threads and tiles cut the histograms, not what they add up to.
  @Test func testThreads_changeNoBitOfALargeTie() throws {
    let coarse = RandomModels(sizes: [300_000, 3], models: 2, seed: 5, grid: 0x1p-4)
    let one = try coarse.merge("ties", threads: 1)
    for threads in [2, 3, 8] { #expect(try coarse.merge("ties", threads: threads) == one) }
  }
}
