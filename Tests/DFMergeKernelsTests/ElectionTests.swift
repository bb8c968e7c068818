import DFMergeCore
import DFMergeKernels
import Testing

/// The election written once more, one element at a time.
struct ElectionCase {
  let base: Numbers
  let models: [Numbers]
  let terms: [TaskVectorTerm]
  var mask: BernoulliMask?

  init(
    _ count: Int, models: Int, input: DType, base: DType, offset: Int = 0, grid: Double? = nil,
    thresholds: Bool = true
  ) {
    // A coarse grid makes ties, zeros and cancellations common.
    func values(_ seed: UInt64) -> [Double] {
      sample(count, seed: seed).map { x in
        grid.map { (x / $0).rounded() * $0 } ?? x
      }
    }
    self.base = Numbers(values(5), base, misalignment: offset)
    self.models = (0..<models).map {
      Numbers(values(UInt64($0 + 10)), $0 % 3 == 2 ? base : input, misalignment: offset)
    }
    terms = (0..<models).map {
      TaskVectorTerm(
        threshold: thresholds ? [0.25, 0.4, 0, 0.7][$0 % 4] : 0,
        ceiling: thresholds ? [.infinity, 1.5, 0.8, 0.75][$0 % 4] : .infinity,
        factor: [1, 0.5, 2, 0][$0 % 4],
        weight: [1, 2, 0.5, 0][$0 % 4])
    }
  }

  var count: Int { base.count }

  /// The terms of element `i`; nil for one that is trimmed or dropped.
  func values(_ i: Int) -> [Double?] {
    zip(differences(i), terms).map { tau, term in tau.map { term.factor * $0 } }
  }

  /// The differences of which they are made.
  func differences(_ i: Int) -> [Double?] {
    models.indices.map { m in
      let x = models[m]
      let tau = x[i] - base[i]
      let isWide = x.dtype == .f64 || base.dtype == .f64
      let magnitude = abs(isWide ? tau : Double(Float(x[i]) - Float(base[i])))
      if let mask, !isKept(mask, m, i) { return nil }
      let isTrimmed =
        magnitude < terms[m].threshold
        || (magnitude >= terms[m].ceiling && terms[m].ceiling.isFinite)
      return isTrimmed ? nil : tau
    }
  }

  func vote(_ i: Int, _ vote: SignElection.Vote) -> Double {
    let given = (vote == .plainMass ? differences(i) : values(i)).compactMap { $0 }
    switch vote {
    case .count: return Double(given.count { $0 > 0 }) - Double(given.count { $0 < 0 })
    case .mass, .plainMass:
      return given.filter { $0 > 0 }.reduce(0, +) + given.filter { $0 < 0 }.reduce(0, +)
    }
  }

  func expected(_ election: SignElection) -> [Double] {
    (0..<count).map { i in
      let values = values(i)
      if values.contains(where: { $0?.isNaN == true }) { return .nan }
      let vote = vote(i, election.vote)
      let sign = vote > 0 ? 1 : vote < 0 ? -1 : election.tie.rawValue
      let kept = values.indices.filter { (values[$0] ?? 0) * sign > 0 }
      let terms = kept.compactMap { values[$0] }
      let sum = terms.reduce(0, +)
      let result =
        switch election.aggregate {
        case .sum: sum
        case .largest: terms.max { abs($0) < abs($1) } ?? 0
        case .mean:
          kept.isEmpty
            ? 0 : sum / max(kept.reduce(0) { $0 + self.terms[$1].weight }, election.leastWeight)
        }
      return base[i] + result * election.scale
    }
  }

  func sum() -> [Double] {
    (0..<count).map { i in base[i] + values(i).compactMap { $0 }.reduce(0, +) }
  }

  func isKept(_ mask: BernoulliMask, _ model: Int, _ i: Int) -> Bool {
    let element = UInt64(mask.offset + i)
    let random = CounterRandom(
      seed: mask.seed, stream: mask.tensorKey &+ UInt64(model) &* 0x9e37_79b9_7f4a_7c15)
    let words = random.block(element / 32 * 8 + element % 8)
    let word = [words.0, words.1, words.2, words.3][Int(element / 8 % 4)]
    return Double(word) < (mask.densities[model] * 0x1p32).rounded()
  }
}

let everyElection: [SignElection] = SignElection.Vote.allCases.flatMap { vote in
  [SignElection.Aggregate.mean, .sum, .largest].flatMap { aggregate in
    [SignElection.Tie.positive, .negative, .none].map {
      SignElection(
        vote: vote, aggregate: aggregate, tie: $0, scale: 0.75,
        leastWeight: vote == .plainMass ? 1.75 : 0)
    }
  }
}

@Suite("Sign election")
struct ElectionTests {
  private func check(_ merge: ElectionCase, _ election: SignElection, out: DType) {
    let room = Numbers(room: merge.count, out, misalignment: 1)
    Kernels.electedTaskVectors(
      into: room.mutable, base: merge.base.elements, models: merge.models.map(\.elements),
      terms: merge.terms, election: election, mask: merge.mask, count: merge.count)
    expectRounded(room, merge.expected(election), "\(election) \(merge.count)")
  }

  private func checkSums(_ merge: ElectionCase, out: DType) {
    let room = Numbers(room: merge.count, out, misalignment: 1)
    Kernels.termSum(
      into: room.mutable, base: merge.base.elements, models: merge.models.map(\.elements),
      terms: merge.terms, mask: merge.mask, count: merge.count)
    expectRounded(room, merge.sum(), "sum \(merge.count)")
    for vote in SignElection.Vote.allCases {
      let votes = (0..<merge.count).map { merge.vote($0, vote) }
      let balance = Kernels.signBalance(
        base: merge.base.elements, models: merge.models.map(\.elements), terms: merge.terms,
        vote: vote, mask: merge.mask, count: merge.count)
      #expect(balance == votes.count { $0 > 0 } - votes.count { $0 < 0 })
    }
  }

  private func mask(_ models: Int, offset: Int) -> BernoulliMask {
    BernoulliMask(
      seed: 42, tensorKey: CounterRandom.key(of: "w"), offset: offset,
      densities: (0..<models).map { [0.5, 0.9, 1, 0.1, 0][$0 % 5] })
  }

  @Test(arguments: mergeable)
  func everyLength(dtype: DType) {
    for count in 0...200 {
      var merge = ElectionCase(
        count, models: 4, input: dtype, base: dtype, offset: count % 2, grid: 0.25)
      check(merge, everyElection[count % everyElection.count], out: dtype)
      checkSums(merge, out: dtype)
      merge.mask = mask(4, offset: count * 7)
      check(merge, everyElection[(count * 5 + 1) % everyElection.count], out: dtype)
      checkSums(merge, out: dtype)
    }
  }

  @Test(arguments: mergeable)
  func everyMixOfTypes(input: DType) {
    for base in mergeable {
      for out in mergeable {
        for isMasked in [false, true] {
          var merge = ElectionCase(77, models: 4, input: input, base: base, offset: 1)
          if isMasked { merge.mask = mask(4, offset: 5) }
          for election in everyElection { check(merge, election, out: out) }
          checkSums(merge, out: out)
        }
      }
    }
  }

  @Test func oneToEightModelsAndManyModels() {
    for models in Array(1...8) + [300] {
      var merge = ElectionCase(130, models: models, input: .bf16, base: .bf16, grid: 0.125)
      for election in everyElection { check(merge, election, out: .f32) }
      merge.mask = mask(models, offset: 31)
      for election in everyElection { check(merge, election, out: .f32) }
    }
  }

  @Test func noModels() {
    let base = Numbers([1, -2, 3], .f32)
    let out = Numbers(room: 3, .f32)
    Kernels.electedTaskVectors(
      into: out.mutable, base: base.elements, models: [], terms: [], election: everyElection[0],
      count: 3)
    #expect(out.values == [1, -2, 3])
  }

  /// Floats summed in double cancel exactly, in every order.
  @Test func equalTermsOfOppositeSignAreATie() {
    let deltas = [0.1, 0.7, -0.1, 0.3, -0.7, -0.3].map { Double(Float($0)) }
    let base = Numbers([0], .f64)
    for shift in deltas.indices {
      let models = deltas.indices.map { Numbers([deltas[($0 + shift) % 6]], .f64) }
      let out = Numbers(room: 1, .f64)
      Kernels.electedTaskVectors(
        into: out.mutable, base: base.elements, models: models.map(\.elements),
        terms: deltas.map { _ in TaskVectorTerm(factor: 1) },
        election: SignElection(vote: .mass, aggregate: .sum, tie: .none), count: 1)
      #expect(out[0] == 0)
    }
  }

  @Test func notANumberReachesTheResult() {
    for place in 0..<3 {
      var values: [[Double]] = [[-1], [-2], [-4]]
      values[place][0] = .nan
      let models = values.map { Numbers($0, .f32) }
      let base = Numbers([0], .f32)
      for election in everyElection {
        let out = Numbers(room: 1, .f32)
        let outcome = Kernels.electedTaskVectors(
          into: out.mutable, base: base.elements, models: models.map(\.elements),
          terms: [0.5, 0.5, 9].map { TaskVectorTerm(threshold: $0, factor: 1) },
          election: election, count: 1)
        #expect(out[0].isNaN && outcome.hasNonFinite, "\(place) \(election)")
      }
    }
  }

  /// Trimming compares the float difference: at the threshold, half-way below it, and between.
  @Test func thresholdsAreThoseOfFloats() {
    let t = Float(0.3)
    for threshold in [t, t.nextUp, t.nextDown, 0x1p-149, .greatestFiniteMagnitude] {
      let middle = (Double(threshold) + Double(threshold.nextDown)) / 2
      let term = TaskVectorTerm(threshold: Double(threshold), factor: 1)
      for difference in [
        middle, middle.nextUp, middle.nextDown, Double(threshold), Double(threshold.nextDown),
        0, .infinity,
      ] {
        let isKept = Double(Float(difference)) >= Double(threshold)
        // The sum of two floats, large and small, stands for the difference.
        let low = Float(difference)
        let model = Numbers([difference.isInfinite ? .infinity : Double(low)], .f32)
        let base = Numbers([difference.isInfinite ? 0 : -(difference - Double(low))], .f32)
        guard base[0] == -(difference - Double(low)) || difference.isInfinite else { continue }
        let out = Numbers(room: 1, .f64)
        Kernels.termSum(
          into: out.mutable, base: base.elements, models: [model.elements], terms: [term],
          count: 1)
        #expect(out[0] == (isKept ? model[0] : base[0]), "\(difference) at \(threshold)")
      }
    }
  }
}
