import Testing

@testable import DFMergeCore
@testable import DFMergeEngine
@testable import DFMergeKernels
@testable import DFMergeMethods

/// DARE and DARE-TIES against their definitions, with the mask's draws from the scalar generator.
@Suite struct DARETests {
  static let sizes = [1, 0, 7, 1_000, 20_001]
  let data = RandomModels(sizes: DARETests.sizes, models: 3, seed: 31)

  /// Whether element `i` of tensor `t<number>` of a model is kept.
  static func isKept(_ i: Int, tensor: Int, model: Int, density: Double, seed: UInt64) -> Bool {
    let random = CounterRandom(seed: seed, purpose: "t\(tensor)", index: UInt64(model))
    let words = random.block(UInt64(i / 32 * 8 + i % 8))
    let word = [words.0, words.1, words.2, words.3][i / 8 % 4]
    return Double(word) < (density * 0x1p32).rounded()
  }

  /// The scaled change of each model at each element; nil where it is dropped.
  private func changes(
    _ densities: [Double], rescale: Bool = true, seed: UInt64 = 0
  ) -> [[[Double?]]] {
    data.sizes.indices.map { tensor in
      (0..<data.sizes[tensor]).map { i in
        data.models.indices.map { m in
          let d = densities[m]
          guard Self.isKept(i, tensor: tensor, model: m, density: d, seed: seed) else { return nil }
          let tau = Double(data.models[m][tensor][i]) - Double(data.base[tensor][i])
          return rescale ? tau / d : tau
        }
      }
    }
  }

  private func check(
    _ method: String, _ options: String, _ changes: [[[Double?]]], _ rule: ([Double?]) -> Double,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let found = try data.merge(method, options)
    let expected = data.sizes.indices.map { tensor in
      (0..<data.sizes[tensor]).map { Double(data.base[tensor][$0]) + rule(changes[tensor][$0]) }
    }
    let scale = data.base.map { $0.map { abs(Double($0)) } }
    #expect(
      relativeError(found, expected, scale: scale) < 1e-6, "\(options)",
      sourceLocation: sourceLocation)
  }

  @Test func testDARE_matchesItsFormula() throws {
    let c = [0.3, -0.2, 1.1]
    func sum(_ terms: [Double?]) -> Double { zip(terms, c).reduce(0) { $0 + ($1.0 ?? 0) * $1.1 } }
    let options = "\"coefficients\":[0.3,-0.2,1.1]"
    try check("dare", "{\(options)}", changes([0.9, 0.9, 0.9]), sum)
    try check(
      "dare", "{\(options),\"density\":[0.5,1,0.1],\"seed\":77}",
      changes([0.5, 1, 0.1], seed: 77), sum)
    try check(
      "dare", "{\(options),\"density\":0.25,\"rescale\":false}",
      changes([0.25, 0.25, 0.25], rescale: false), sum)
  }

  @Test func testDARETIES_matchesItsFormula() throws {
    func elected(_ terms: [Double?], _ weights: [Double], mean: Bool) -> Double {
      let v = zip(terms, weights).map { ($0 ?? 0) * $1 }
      let sign = v.reduce(0, +) >= 0 ? 1.0 : -1
      let agreeing = v.indices.filter { v[$0] * sign > 0 }
      let sum = agreeing.reduce(0) { $0 + v[$1] }
      return mean && !agreeing.isEmpty ? sum / agreeing.reduce(0) { $0 + weights[$1] } : sum
    }
    try check("dare_ties", "{}", changes([0.9, 0.9, 0.9])) {
      elected($0, [1, 1, 1], mean: false)
    }
    try check(
      "dare_ties",
      "{\"density\":[0.5,0.7,0.2],\"weights\":[1,2,0.5],\"lambda\":0.6,\"aggregate\":\"mean\","
        + "\"seed\":5}",
      changes([0.5, 0.7, 0.2], seed: 5)
    ) { 0.6 * elected($0, [1, 2, 0.5], mean: true) }
  }

  @Test func testDensityOne_isTaskArithmeticBitForBit() throws {
    let options = "\"coefficients\":[0.9,0.2,0.5]"
    #expect(
      try data.merge("dare", "{\(options),\"density\":1}")
        == data.merge("task_arithmetic", "{\(options)}"))
    // A mask that keeps every element of two models, and a third that does not count.
    #expect(
      try data.merge("dare", "{\"coefficients\":[0.9,0.2,0],\"density\":[1,1,0.5]}")
        == data.merge("task_arithmetic", "{\"coefficients\":[0.9,0.2,0]}"))
  }

  @Test func testDARETIESOfDensityOne_isTIESOfDensityOne() throws {
    for zeroSign in ["majority", "positive"] {
      let options = "{\"density\":1,\"aggregate\":\"mean\",\"zero_sign\":\"\(zeroSign)\"}"
      #expect(try data.merge("dare_ties", options) == data.merge("ties", options))
    }
  }

  @Test(arguments: ["dare", "dare_ties"])
  func testSeed_decidesTheResult(_ method: String) throws {
    let one = try data.merge(method, "{\"density\":0.5,\"seed\":1}")
    #expect(try data.merge(method, "{\"density\":0.5,\"seed\":1}", threads: 1) == one)
    #expect(try data.merge(method, "{\"density\":0.5,\"seed\":2}") != one)
  }

  /// Tensors under other names, and models at other places, get draws of their own.
  @Test func testEqualTensorsAndModels_areDroppedIndependently() throws {
    let ones = [[Float]](repeating: [Float](repeating: 1, count: 64), count: 2)
    let zeros = ones.map { $0.map { _ in Float(0) } }
    let equal = RandomModels(base: zeros, models: [ones, ones])
    let first = try equal.merge("dare", "{\"coefficients\":[1,0],\"density\":0.5}")
    let second = try equal.merge("dare", "{\"coefficients\":[0,1],\"density\":0.5}")
    #expect(first[0] != first[1])
    #expect(first[0] != second[0])
  }

  /// A NaN that is dropped is not read; one that is kept is reported.
  @Test func testNaN_isReportedWhereItIsKept() throws {
    let broken = RandomModels(sizes: [5, 9], models: 2, seed: 1, nanIn: (model: 1, tensor: 1))
    for method in ["dare", "dare_ties"] {
      let error = #expect(throws: DFMergeError.self) {
        try broken.merge(method, "{\"density\":1}")
      }
      #expect(error?.code == .nonFinite)
    }
  }

  /// As in mergekit: of a model with density 0 nothing is left, whatever the rescaling.
  @Test(
    arguments: ["dare", "dare_ties", "della", "della_linear"], ["true", "false", "\"l1\""])
  func testDensityZero_keepsNothing(_ method: String, _ rescale: String) throws {
    let rest = method.hasPrefix("della") ? ",\"epsilon\":0" : ""
    let zero = "\"rescale\":\(rescale)\(rest)"
    #expect(try data.merge(method, "{\"density\":0,\(zero)}") == data.base)
    #expect(try data.merge(method, "{\"density\":[1,0,0],\(zero)}") != data.base)
    if method.hasPrefix("dare") {
      #expect(try data.merge(method, "{\"density\":5e-324,\(zero)}") == data.base)
      let gradient = "{\"density\":{\"gradient\":[0,1]},\(zero)}"
      #expect(try data.merge(method, gradient).joined().allSatisfy(\.isFinite))
    }
  }

  @Test(arguments: [
    ("dare", "{\"density\":-0.1}"), ("dare", "{\"density\":1.5}"), ("dare", "{\"seed\":-1}"),
    ("dare_ties", "{\"zero_sign\":\"up\"}"), ("ties", "{\"density\":-0.1}"),
    ("ties", "{\"weights\":-1}"), ("ties", "{\"scope\":\"row\"}"),
  ])
  func testWrongOptions_areRefused(_ method: String, _ options: String) {
    let error = #expect(throws: DFMergeError.self) { try data.merge(method, options) }
    #expect(error?.code == .invalidOption)
  }
}
