import DFMergeCore
import DFMergeKernels
import Testing

/// Masks by rank and numbers that compare models, against the same written one element at a time.
@Suite("Ranks")
struct RankedTests {
  /// Rows that are sorted in each of the ways, and several chunks of rows.
  static let lengths = [1, 2, 3, 16, 47, 48, 49, 200, 257, 1023, 1024, 3000, 5000, 9000]

  private func check(_ merge: RankedCase, _ comment: String) {
    let changes = merge.models.indices.map { merge.changes($0) }
    let models = merge.models.map(\.elements)
    let expected = (0..<merge.count).map { i in
      merge.base[i] + zip(changes, merge.terms).reduce(0) { $0 + $1.0[i] * $1.1.factor }
    }
    let out = Numbers(room: merge.count, .f64, misalignment: 1)
    Kernels.termSum(
      into: out.mutable, base: merge.base.elements, models: models, terms: merge.terms,
      mask: merge.mask, count: merge.count)
    #expect(out.isIntact)
    let error = zip(out.values, expected).reduce(0) { max($0, abs($1.0 - $1.1)) }
    #expect(error < 1e-12, "\(comment)")

    let norms = Kernels.sumsOfMagnitudes(
      base: merge.base.elements, models: models, mask: merge.mask, count: merge.count)
    let squares = Kernels.sumsOfSquares(
      base: merge.base.elements, models: models, mask: merge.mask, count: merge.count)
    for m in models.indices {
      let (sum, square) = changes[m].reduce((0.0, 0.0)) { ($0.0 + abs($1), $0.1 + $1 * $1) }
      #expect(abs(norms[m] - sum) <= 1e-12 * sum, "\(comment), model \(m)")
      #expect(abs(squares[m] - square) <= 1e-12 * square, "\(comment), model \(m)")
    }
  }

  @Test(arguments: mergeable)
  func everyRowLength(dtype: DType) {
    for length in Self.lengths {
      for grid in [nil, 0.25] {
        let merge = RankedCase(
          rows: max(5000 / length, 2), length: length, input: dtype, base: dtype, grid: grid,
          offset: length % 3)
        check(merge, "\(dtype), rows of \(length), grid \(grid ?? 0)")
      }
    }
  }

  /// Keys that differ in their lowest bits only, and a few far below them, which no guess finds.
  @Test func rowsOfMagnitudesThatAreNearlyAlike() {
    for length in [100, 700, 4000] {
      for dtype in [DType.f32, .f64] {
        check(
          RankedCase(rows: 2, length: length, input: dtype, base: dtype, isAlike: true),
          "\(dtype), rows of \(length)")
      }
    }
  }

  @Test(arguments: mergeable)
  func countsAboveLimits(dtype: DType) {
    for count in [0, 1, 15, 16, 17, 333] {
      let model = Numbers(sample(count, seed: 8), dtype, misalignment: 1)
      let base = Numbers(sample(count, seed: 9), dtype)
      let sizes = (0..<count).map { abs(model[$0] - base[$0]) }
      let found = Kernels.countsAbove(
        (0, 0.7), model.elements, base: base.elements, count: count)
      #expect(found.0 == sizes.count { $0 > 0 })
      #expect(found.1 == sizes.count { $0 > 0.7 })
    }
  }

  @Test func everyMixOfTypes() {
    for input in mergeable {
      for base in mergeable {
        check(
          RankedCase(rows: 3, length: 77, input: input, base: base), "\(input) from \(base)")
      }
    }
  }

  @Test func placesOfNoneAndOfNaN() {
    let base = Numbers([0, 0, 0, 0], .f32)
    let model = Numbers([3, .nan, -1, 2], .f32)
    let memory = UnsafeMutableRawBufferPointer.allocate(
      byteCount: RowMask.byteCount(models: 1, rowLength: 4), alignment: 64)
    defer { memory.deallocate() }
    // NaN has the lowest place, and is never dropped.
    for (places, expected) in [
      (0..<0, [0, .nan, 0, 0]), (1..<2, [0, .nan, -1, 0]), (0..<4, [3, .nan, -1, 2]),
      (3..<4, [3, .nan, 0, 0.0]),
    ] {
      let out = Numbers(room: 4, .f64)
      let outcome = Kernels.termSum(
        into: out.mutable, base: base.elements, models: [model.elements],
        terms: [TaskVectorTerm(factor: 1)],
        mask: RowMask(rules: [.places(places)], rowLength: 4, memory: memory), count: 4)
      #expect(outcome.hasNonFinite)
      for (found, right) in zip(out.values, expected) {
        #expect(found == right || (found.isNaN && right.isNaN), "\(places)")
      }
    }
  }

  @Test func valuesOfGivenRanks() {
    for count in [1, 2, 63, 64, 65, 1000, 4999] {
      for (step, isWide) in [(0.0, true), (0.0, false), (0.5, true), (0.5, false)] {
        var values = sample(count, seed: UInt64(count)).map {
          step > 0 ? ($0 / step).rounded() * step : Double(Float($0))
        }
        if count > 60 { values[7] = .nan }
        let sorted = values.map { $0.isNaN ? -Double.infinity : $0 }.sorted(by: >)
        let ranks = [0, 1, count / 2, count - 1, count, count + 1]
        let (found, undefined) = values.withUnsafeMutableBufferPointer { buffer in
          buffer.baseAddress.map {
            Kernels.rankedValues(ranks, of: $0, count: count, isWide: isWide)
          } ?? ([], 0)
        }
        #expect(undefined == (count > 60 ? 1 : 0))
        for (rank, value) in zip(ranks, found) {
          let right =
            rank <= 0 ? Double.infinity : rank > count ? -.infinity : sorted[rank - 1]
          #expect(value == right, "rank \(rank) of \(count)")
        }
      }
    }
  }

  @Test(arguments: mergeable)
  func spreadsAndTheirMask(dtype: DType) {
    let merge = RankedCase(rows: 3, length: 1001, input: dtype, base: dtype, grid: 0.5)
    var found = [Double](repeating: -77, count: merge.count)
    found.withUnsafeMutableBufferPointer { buffer in
      if let start = buffer.baseAddress { merge.spread(into: start) }
    }
    var expected: [Double] = []
    for i in 0..<merge.count {
      let tau = merge.models.map { $0[i] - merge.base[i] }
      let mean = tau.reduce(0) { $0 + $1 - tau[0] } / 4
      let sum = tau.reduce(0) { $0 + ($1 - tau[0] - mean) * ($1 - tau[0] - mean) } / 4
      expected.append(merge.rounds ? Double(Float(sum)) : sum)
      if tau.allSatisfy({ $0 == tau[0] }) { #expect(found[i] == 0) }
    }
    #expect(found == expected)
    let squares = Kernels.sumsOfSquares(
      base: merge.base.elements, models: merge.models.map(\.elements),
      mask: SpreadMask(threshold: 0.5), count: merge.count)
    for (m, model) in merge.models.enumerated() {
      let right = (0..<merge.count).reduce(0.0) {
        let tau = model[$1] - merge.base[$1]
        return $0 + (expected[$1] >= 0.5 ? tau * tau : 0)
      }
      #expect(abs(squares[m] - right) <= 1e-12 * right)
    }
  }

  @Test(arguments: mergeable)
  func balances(dtype: DType) {
    let merge = RankedCase(rows: 3, length: 333, input: dtype, base: dtype)
    let lower = [0.1, 0.2, 0, 0.5]
    let upper = [1.5, 2, 1, 0.5]
    for kind in [CompetitionBalance.Kind.deltas, .shares, .pairs] {
      let balance = merge.balance(kind)
      let models = merge.models.map(\.elements)
      for m in models.indices {
        var found = [Double](repeating: -77, count: merge.count)
        found.withUnsafeMutableBufferPointer { buffer in
          guard let start = buffer.baseAddress else { return }
          balance.balances(
            of: m, into: start, base: merge.base.elements, models: models, count: merge.count)
        }
        for i in 0..<merge.count {
          let tau = merge.models.map { $0[i] - merge.base[i] }
          let share = tau.indices.map { j in
            upper[j] > lower[j]
              ? (min(max(abs(tau[j]), lower[j]), upper[j]) - lower[j]) / (upper[j] - lower[j]) : 0
          }
          let signed = zip(tau, share).map { $0 < 0 ? -$1 : $0 > 0 ? $1 : 0 }
          let inter =
            switch kind {
            case .deltas: Self.tanh(tau[m] * tau.reduce(0, +))
            case .shares: Self.tanh(tau[m] * signed.reduce(0, +))
            case .pairs: signed.reduce(0) { $0 + Self.tanh(signed[m] * $1) }
            }
          let right = Self.exp(4 * share[m] * share[m]) * inter
          #expect(
            abs(found[i] - right) <= (merge.rounds ? 1e-7 : 1e-11) * abs(right) + 2e-12,
            "\(kind) \(m) \(i)")
        }
      }
    }
  }

  /// By series and squaring, which share nothing with the kernels.
  private static func exp(_ x: Double) -> Double {
    var (sum, term) = (1.0, 1.0)
    let small = x / 1024
    for k in 1...12 {
      term *= small / Double(k)
      sum += term
    }
    for _ in 0..<10 { sum *= sum }
    return sum
  }

  private static func tanh(_ x: Double) -> Double {
    if abs(x) < 0.1 {
      // The series of sinh over that of cosh.
      var (sinh, cosh, term) = (0.0, 0.0, 1.0)
      for k in 0..<16 {
        if k % 2 == 0 { cosh += term } else { sinh += term }
        term *= x / Double(k + 1)
      }
      return sinh / cosh
    }
    let e = exp(2 * x)
    return (e - 1) / (e + 1)
  }
}
