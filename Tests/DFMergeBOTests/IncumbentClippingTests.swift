import DFMergeCore
import Testing

@testable import DFMergeBO

/// What clipping keeps and what it flattens.
@Suite struct IncumbentClippingTests {
  /// 40 trials at the incumbent, some of them a polish away from it, and 20 spread below.
  private let incumbent = (0..<40).map { 0.9 - 1e-5 * Double($0 % 4) }
  private let others = (0..<20).map { 0.3 + 0.025 * Double($0) }

  @Test func mostTrialsAtTheIncumbent_keepTheDifferencesOfTheOthers() {
    let z = Standardisation(others + incumbent, clipped: true)
    let below = z.standardised.prefix(20)
    // The lower half is clipped at what the upper half reaches, at most.
    #expect(Set(below).count >= 15)
    let differences = zip(below, below.dropFirst()).map { $1 - $0 }
    #expect(differences.allSatisfy { $0 >= 0 } && (below.last ?? 0) - (below.first ?? 0) > 1.5)
    // However many there are at the incumbent.
    let exact = Standardisation(others + [Double](repeating: 0.9, count: 200), clipped: true)
    #expect(Set(exact.standardised.prefix(20)).count >= 15)
  }

  @Test func mostTrialsAtTheIncumbent_collapsedOnesAreClippedStill() {
    let collapsed = [Double](repeating: -40, count: 8)
    let z = Standardisation(collapsed + others + incumbent, clipped: true)
    let lowest = z.score(z.standardised.min() ?? 0)
    #expect(lowest > -1 && lowest <= 0.3)
  }

  @Test func halfOfAStartCollapsed_isClippedAsEver() {
    let scores = [0.02, 0.8, 0.01, 0.86, 0.9, 0.03, 0.84, 0, 0.92]
    let z = Standardisation(scores, clipped: true)
    // Median 0.8, best 0.92: everything below 0.68 is one value.
    let collapsed = [0, 2, 5, 7].map { z.standardised[$0] }
    #expect(Set(collapsed).count == 1)
    expectClose(z.score(collapsed[0]), 0.68, relative: 1e-12)
  }

  @Test func mostTrialsAtTheIncumbent_theModelIsUncertainAwayFromThem() throws {
    // A categorical study: 40 trials at one corner, 20 spread with scores that differ.
    var random = CounterRandom(seed: 3, purpose: "incumbent")
    var points: [Double] = []
    for score in others { points += [0.3 * (score - 0.3), random.uniform()] }
    for _ in incumbent {
      points += [0.98 + 0.02 * random.uniform(), 0.5 + 0.02 * random.uniform()]
    }
    let values = others + incumbent
    let fit = try HierarchicalModel(
      Observations(
        dimension: 2, points: points, values: values, variances: values.map { _ in nil })
    ).fit(random: CounterRandom(seed: 1, stream: 5))
    let away = fit.predict([0.6, 0.1]).deviation
    let spread = fit.standardisation.scale
    #expect(spread > 0.05, "\(spread)")
    #expect(away > 0.1 * spread && away > 0.01, "\(away) of \(spread)")
  }
}
