import Testing

@testable import DFMerge
@testable import DFMergeCore

/// The recipe of a greedy soup, against the authors' loop.
@Suite struct GreedySoupTests {
  /// The loop of main.py:142-185 with a score for every set of models; equal scores in the order
  /// given.
  static func authors(_ count: Int, _ score: ([Int]) -> Double?) -> (soup: [Int], trials: [[Int]]) {
    var trials = (0..<count).map { [$0] }
    var found: [(model: Int, score: Double)] = []
    for model in 0..<count {
      guard let score = score([model]) else { continue }
      // Insertion behind everything that is not lower.
      let place = found.firstIndex { $0.score < score } ?? found.endIndex
      found.insert((model, score), at: place)
    }
    guard let first = found.first else { return ([], trials) }
    var (soup, best) = ([first.model], first.score)
    for (model, _) in found.dropFirst() {
      trials.append(soup + [model])
      if let candidate = score(soup + [model]), candidate > best {
        soup.append(model)
        best = candidate
      }
    }
    return (soup, trials)
  }

  static func members(_ point: [Double]) -> Set<Int> { Set(point.indices.filter { point[$0] > 0 }) }

  @Test func testRandomScores_areDecidedAsTheAuthorsLoopDoes() {
    for seed in 0..<300 {
      var random = CounterRandom(seed: UInt64(seed), purpose: "soup")
      let count = 1 + Int(random.uniform() * 6)
      // Few distinct scores make ties, of which one in eight fails.
      let levels = seed % 3 == 0 ? 3.0 : 1e6
      var known: [Set<Int>: Double?] = [:]
      func score(_ models: [Int]) -> Double? {
        if let found = known[Set(models)] { return found }
        let fails = seed % 2 == 0 && random.uniform() < 0.125
        let value: Double? = fails ? nil : (random.uniform() * levels).rounded()
        known[Set(models)] = .some(value)
        return value
      }
      let expected = GreedySoupTests.authors(count, score)
      var grades: [GreedySoup.Grade?] = []
      var soup = GreedySoup(modelCount: count, grades: grades)
      while let next = soup.next {
        #expect(GreedySoupTests.members(next) == Set(expected.trials[grades.count]))
        #expect(soup.origin == (grades.count < count ? "alone" : "soup"))
        #expect(grades.count < soup.total && soup.total <= 2 * count - 1)
        let value = score(Array(GreedySoupTests.members(next)))
        grades.append(value.map { GreedySoup.Grade(value: $0, violation: 0) })
        soup = GreedySoup(modelCount: count, grades: grades)
      }
      #expect(soup.members == expected.soup)
      #expect(grades.count == expected.trials.count && grades.count == soup.total)
      #expect(soup.steps.filter(\.isAccepted).map(\.model) == expected.soup)
      #expect(Set(soup.steps.map(\.model)).count == count && soup.steps.count == count)
      #expect(soup.chosen.map { Set(expected.trials[$0]) } ?? [] == Set(expected.soup))
    }
  }

  @Test func testEqualScores_areNoImprovement() {
    let grade = GreedySoup.Grade(value: 0.5, violation: 0)
    let soup = GreedySoup(modelCount: 3, grades: [grade, grade, grade, grade, grade])
    #expect(soup.members == [0] && soup.chosen == 0 && soup.next == nil)
    #expect(soup.steps.map(\.model) == [0, 1, 2])
    #expect(soup.steps.map(\.isAccepted) == [true, false, false])
  }

  @Test func testFloors_countBeforeTheScore() {
    let high = GreedySoup.Grade(value: 0.9, violation: 0.1)
    let kept = GreedySoup.Grade(value: 0.6, violation: 0)
    let better = GreedySoup.Grade(value: 0.95, violation: 0.05)
    // The second keeps the floors, which no average with the first does.
    let soup = GreedySoup(modelCount: 2, grades: [high, kept, better])
    #expect(soup.members == [1] && soup.chosen == 1)
    // Between two that miss them, the one that misses by less.
    let both = GreedySoup(modelCount: 2, grades: [high, nil, better])
    #expect(both.members == [0] && both.total == 2 && both.next == nil)
    let missed = GreedySoup(modelCount: 2, grades: [high, high, better])
    #expect(missed.members == [0, 1] && missed.chosen == 2)
  }

  @Test func testFailures_leaveAModelOut() {
    let grade = GreedySoup.Grade(value: 0.5, violation: 0)
    let none = GreedySoup(modelCount: 2, grades: [nil, nil])
    #expect(none.next == nil && none.chosen == nil && none.members == [] && none.total == 2)
    #expect(none.steps.map(\.isAccepted) == [false, false])
    let one = GreedySoup(modelCount: 3, grades: [nil, grade, nil])
    #expect(one.members == [1] && one.next == nil && one.total == 3)
    let failed = GreedySoup(modelCount: 2, grades: [grade, grade, nil])
    #expect(failed.members == [0] && failed.steps.last?.isAccepted == false)
  }
}
