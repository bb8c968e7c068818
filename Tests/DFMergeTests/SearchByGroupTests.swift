import Testing

@testable import DFMerge
@testable import DFMergeCore

@Suite struct SearchByGroupTests {
  static let coefficients = [0.9, 0.2, 0.5, 0.1, 0.7, 0.4]

  /// The paper's formula in double, with each group's coefficients.
  static func expected(
    _ fixture: GroupedFixture, _ exponent: Double, fisher: (Int, Double, Int, Int) -> Double
  ) -> [[Double]] {
    GroupedFixture.groupOf.enumerated().map { tensor, group in
      fixture.theta0[tensor].indices.map { element in
        let start = Double(fixture.theta0[tensor][element])
        var (top, bottom) = (0.0, 0.0)
        for model in 0..<2 {
          let c = coefficients[model * 3 + group]
          let w = exponent == 0 ? 1 : fisher(model, c, tensor, element) + 1e-12
          top += w * c * (Double(fixture.tuned[model][tensor][element]) - start)
          bottom += w
        }
        return start + (exponent == 0 ? top : 2 * top / bottom)
      }
    }
  }

  @Test(arguments: [("none", 0.0), ("dynamic", 1.0), ("static", 1.0), ("interpolated", 1.0)])
  func testApply_isTheFormulaWithEachGroupsCoefficients(
    _ mode: String, _ exponent: Double
  ) throws {
    let fixture = try GroupedFixture()
    let extra = mode == "none" || mode == "static" ? "" : ",\"fisher_position\":0"
    let search = try fixture.search("{\"fisher\":\"\(mode)\",\"groups\":\"layers:2\"\(extra)}")
    #expect(search.groups.names == ["layers 0-1", "layers 2-3", "rest"])
    try search.apply(
      Candidate(coefficients: SearchByGroupTests.coefficients, exponent: exponent), host: fixture)
    // Linear in the place, so that interpolation is exact; static stands at the model.
    let wanted = SearchByGroupTests.expected(fixture, exponent) { model, c, tensor, element in
      Double(GroupedFixture.fisher(model, mode == "static" ? 1 : c, tensor, element))
    }
    for tensor in GroupedFixture.sizes.indices {
      for (found, value) in zip(fixture.merged(tensor), wanted[tensor]) {
        #expect(abs(Double(found) - value) < 2e-6)
      }
    }
  }

  @Test(arguments: ["none", "dynamic", "interpolated"])
  func testEqualCoefficients_giveTheBitsOfOneGroup(_ mode: String) throws {
    let one = try GroupedFixture()
    let several = try GroupedFixture()
    let exponent = mode == "none" ? 0.0 : 0.6
    try one.search("{\"fisher\":\"\(mode)\"}").apply(
      Candidate(coefficients: [0.3, 0.8], exponent: exponent), host: one)
    try several.search("{\"fisher\":\"\(mode)\",\"groups\":\"layers:4\"}").apply(
      Candidate(
        coefficients: [Double](repeating: 0.3, count: 5) + [Double](repeating: 0.8, count: 5),
        exponent: exponent), host: several)
    for tensor in GroupedFixture.sizes.indices {
      #expect(one.merged(tensor) == several.merged(tensor))
    }
  }

  @Test func testDynamicFisher_isMeasuredWhereEachGroupStands() throws {
    let fixture = try GroupedFixture()
    var seen: [[Double]] = []
    var whole: [Bool] = []
    fixture.onFisher = { request in
      seen.append(request.coefficients)
      whole.append(!request.coefficient.isNaN)
      let tensor = 4
      let place = request.coefficients[1]
      let (start, tuned) = (fixture.theta0[tensor][7], fixture.tuned[request.model][tensor][7])
      #expect(abs(fixture.merged(tensor)[7] - (start + Float(place) * (tuned - start))) < 1e-6)
    }
    let search = try fixture.search(
      "{\"fisher\":\"dynamic\",\"groups\":\"layers:2\",\"fisher_position\":0}")
    try search.apply(
      Candidate(coefficients: [0.9, 0.2, 0.5, 0.3, 0.3, 0.3], exponent: 1), host: fixture)
    #expect(seen == [[0.9, 0.2, 0.5], [0.3, 0.3, 0.3]])
    #expect(whole == [false, true])
  }

  @Test func testRun_findsTheCoefficientsOfEachGroup() throws {
    let fixture = try GroupedFixture()
    let search = try fixture.search(
      "{\"fisher\":\"none\",\"groups\":{\"early\":[\"h.0.*\",\"h.1.*\"],\"late\":\"h.*\"},"
        + "\"trials\":70,\"seed\":2}")
    let result = try search.run(journal: nil, host: fixture)
    let found = result.best.candidate.coefficients
    for group in 0..<3 {
      for model in 0..<2 {
        #expect(abs(found[model * 3 + group] - GroupedFixture.goal[group][model]) < 0.1)
      }
    }
    #expect(result.json["best"]?["coefficients"]?["a"]?["late"]?.doubleValue == found[1])
    #expect(result.json["groups"]?.arrayValue?.count == 3)
    #expect(result.json["slices"]?.arrayValue?.first?["name"] == .string("a · early"))
    #expect(result.json["length_scales"]?.objectValue?.count == 6)
  }

  @Test(arguments: [1, 2])
  func testThreads_changeNoByte(_ threads: Int) throws {
    let fixture = try GroupedFixture()
    let reference = try GroupedFixture()
    let candidate = Candidate(coefficients: SearchByGroupTests.coefficients, exponent: 0.7)
    try reference.search("{\"groups\":\"layers:2\",\"threads\":3}")
      .apply(candidate, host: reference)
    try fixture.search("{\"groups\":\"layers:2\",\"threads\":\(threads)}")
      .apply(candidate, host: fixture)
    for tensor in GroupedFixture.sizes.indices {
      #expect(fixture.merged(tensor) == reference.merged(tensor))
    }
  }

  @Test func testNumberOfCoefficients_isChecked() throws {
    let fixture = try GroupedFixture()
    let search = try fixture.search("{\"groups\":\"layers:2\",\"fisher\":\"none\"}")
    let error = #expect(throws: DFMergeError.self) {
      try search.apply(Candidate(coefficients: [0.5, 0.5], exponent: 0), host: fixture)
    }
    #expect(error?.message.contains("6 finite coefficients") == true)
  }

  @Test func testManyDimensions_areWarnedOf() throws {
    let fixture = try GroupedFixture()
    #expect(try fixture.search("{\"groups\":\"layers:4\"}").warnings.isEmpty)
    let many = SearchSpace(
      models: (0..<12).map { "m\($0)" }, groups: (0..<6).map { "g\($0)" },
      bounds: Array(repeating: 0...1, count: 12), exponent: 0)
    let options = try SearchOptions(.object(["fisher": .string("none")]), models: many.parameters)
    #expect(try SearchBeginning(options, many).warnings.first?.contains("72 dimensions") == true)
  }
}
