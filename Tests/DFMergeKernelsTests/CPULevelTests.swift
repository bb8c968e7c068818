import DFMergeCore
import DFMergeKernels
import Testing

/// Every level of CPU instructions gives the same bits. No other suite chooses a level, so this one
/// is alone in changing it; the others run at the level that `DFMERGE_CPU_LEVEL` states.
@Suite("CPU levels", .serialized)
struct CPULevelTests {
  /// Whole blocks of every loop, whole vectors and a rest.
  static let count = 1024 + 64 + 16 + 5

  /// Calls `body` at every level of this CPU and compares what it returns.
  private func compare(_ name: @autoclosure () -> String, _ body: () -> [UInt8]) {
    let usual = CPULevel.current
    defer { CPULevel.select(usual) }
    CPULevel.select(.baseline)
    let expected = body()
    for level in CPULevel.available {
      CPULevel.select(level)
      #expect(CPULevel.current == level)
      #expect(body() == expected, "\(name()), level \(level.rawValue)")
    }
  }

  /// The bytes that `body` writes into room of the type `out`, and those of what it noticed.
  private func bytes(
    _ out: DType, _ count: Int, _ body: (MutableElements) -> StoreOutcome
  ) -> [UInt8] {
    let room = Numbers(room: count, out, misalignment: 1)
    let outcome = body(room.mutable)
    let sums = [outcome.squaredError, outcome.squaredValue]
    return room.bytes + [outcome.hasNonFinite ? 1 : 0, outcome.hasInvalidFisher ? 1 : 0]
      + sums.withUnsafeBytes { Array($0) }
  }

  @Test(arguments: mergeable)
  func fisherSumsOfEveryMixOfTypes(input: DType) {
    for base in mergeable {
      for fisher in mergeable {
        for isBetween in [false, true] {
          let merge = FisherCase(
            77, models: 3, input: input, base: base, fisher: fisher, offset: 1,
            interpolated: isBetween)
          for (epsilon, exponent) in [(1e-12, 1), (1e-12, 0.5), (1e-12, 0.3), (0, 0.7), (0, -2)] {
            for out in Set([DType.f64, input, .f32]).sorted(by: { $0.rawValue < $1.rawValue }) {
              compare("\(input) \(base) \(fisher) \(out) \(isBetween) p \(exponent)") {
                bytes(out, 77) { room in
                  Kernels.dynamicFisherSum(
                    into: room, base: merge.base.elements, models: merge.models.map(\.elements),
                    fishers: merge.fishers, coefficients: merge.c, epsilon: epsilon,
                    exponent: exponent, count: 77)
                }
              }
            }
          }
        }
      }
    }
  }

  @Test(arguments: mergeable)
  func otherKernels(input: DType) {
    let merge = FisherCase(
      Self.count, models: 6, input: input, base: .bf16, fisher: input, offset: 1,
      interpolated: true)
    let models = merge.models.map(\.elements)
    for out in mergeable {
      compare("linear combination, \(input) to \(out)") {
        bytes(out, Self.count) {
          Kernels.linearCombination(into: $0, models, weights: merge.c, count: Self.count)
        }
      }
      compare("task vectors, \(input) to \(out)") {
        bytes(out, Self.count) {
          Kernels.taskVectorSum(
            into: $0, base: merge.base.elements, models: models, coefficients: merge.c,
            count: Self.count)
        }
      }
      compare("Fisher mean, \(input) to \(out)") {
        bytes(out, Self.count) {
          Kernels.fisherWeightedMean(
            into: $0, models: models, fishers: merge.fishers, weights: merge.c.map { abs($0) },
            floors: merge.c.map { $0 * 1e-3 }, count: Self.count)
        }
      }
    }
  }

  @Test(arguments: mergeable)
  func electionsAndMasks(input: DType) {
    for count in [77, Self.count] {
      var merge = ElectionCase(count, models: 5, input: input, base: .bf16, offset: 1)
      let models = merge.models.map(\.elements)
      for isMasked in [false, true] {
        if isMasked {
          merge.mask = BernoulliMask(
            seed: 9, tensorKey: 5, offset: 77, densities: [0.5, 0.2, 1, 0, 0.9])
        }
        for election in everyElection {
          compare("\(election), \(input)") {
            bytes(.f64, count) {
              Kernels.electedTaskVectors(
                into: $0, base: merge.base.elements, models: models, terms: merge.terms,
                election: election, mask: merge.mask, count: count)
            }
          }
        }
        compare("sum of terms, \(input)") {
          bytes(.f64, count) {
            Kernels.termSum(
              into: $0, base: merge.base.elements, models: models, terms: merge.terms,
              mask: merge.mask, count: count)
          }
        }
        compare("one vector for all, \(input)") {
          var bits = [UInt8](repeating: 0, count: 5 * (count / 8 + 1))
          let found = bits.withUnsafeMutableBytes { room -> [UInt8] in
            guard let start = room.baseAddress else { return [] }
            return bytes(.f64, count) {
              Kernels.unifiedTaskVector(
                into: $0, bits: (0..<5).map { start + $0 * (count / 8 + 1) },
                base: merge.base.elements, models: models, count: count)
            }
          }
          let sums = Kernels.unifiedSums(
            base: merge.base.elements, models: models, count: count)
          let task = bytes(.f32, count) {
            Kernels.unifiedTask(
              into: $0, base: merge.base.elements, models: models, task: 2, factor: 0.7,
              count: count)
          }
          return found + bits + task + sums.withUnsafeBytes { Array($0) }
        }
        compare("sign balance, \(input)") {
          let balance = Kernels.signBalance(
            base: merge.base.elements, models: models, terms: merge.terms, vote: .mass,
            mask: merge.mask, count: count)
          return withUnsafeBytes(of: balance) { Array($0) }
        }
      }
    }
  }

  @Test(arguments: mergeable)
  func magnitudes(input: DType) {
    let model = Numbers(sample(Self.count, seed: 5), input, misalignment: 1)
    let base = Numbers(sample(Self.count, seed: 6), .bf16, misalignment: 1)
    let isWide = input == .f64
    compare("counted, \(input)") {
      let found = MagnitudeTests.count(rank: 300, [(model, base)], isWide: isWide)
      return withUnsafeBytes(of: found.threshold) { Array($0) }
    }
    compare("selected, \(input)") {
      let found = Kernels.largestMagnitudes(
        [300], model.elements, base: base.elements, count: Self.count)
      return withUnsafeBytes(of: found.thresholds[0]) { Array($0) }
    }
  }

  @Test(arguments: mergeable)
  func masksByRank(input: DType) {
    for length in [1, 7, 100, 1019] {
      let merge = RankedCase(rows: 1100 / length + 1, length: length, input: input, base: .bf16)
      compare("rows of \(length), \(input)") {
        bytes(.f64, merge.count) {
          Kernels.termSum(
            into: $0, base: merge.base.elements, models: merge.models.map(\.elements),
            terms: merge.terms, mask: merge.mask, count: merge.count)
        }
      }
      compare("norms of rows of \(length), \(input)") {
        let sums = Kernels.sumsOfMagnitudes(
          base: merge.base.elements, models: merge.models.map(\.elements), mask: merge.mask,
          count: merge.count)
        return sums.withUnsafeBytes { Array($0) }
      }
      compare("spread of \(length), \(input)") {
        let sums = Kernels.sumsOfSquares(
          base: merge.base.elements, models: merge.models.map(\.elements),
          mask: SpreadMask(threshold: 0.25), count: merge.count)
        return sums.withUnsafeBytes { Array($0) } + values(merge.count) { merge.spread(into: $0) }
      }
      for kind in [CompetitionBalance.Kind.deltas, .shares, .pairs] {
        let balance = merge.balance(kind)
        compare("balances \(kind) of \(length), \(input)") {
          values(merge.count) {
            balance.balances(
              of: 1, into: $0, base: merge.base.elements, models: merge.models.map(\.elements),
              count: merge.count)
          }
            + bytes(.f32, merge.count) {
              balance.merge(
                into: $0, base: merge.base.elements, models: merge.models.map(\.elements),
                count: merge.count)
            }
        }
      }
    }
    let numbers = sample(Self.count, seed: 9)
    compare("values of ranks") {
      var room = numbers
      let found = room.withUnsafeMutableBufferPointer { buffer in
        buffer.baseAddress.map {
          Kernels.rankedValues(
            [1, 17, Self.count], of: $0, count: Self.count, isWide: input == .f64
          ).found
        } ?? []
      }
      return found.withUnsafeBytes { Array($0) }
    }
  }

  /// The bytes of the doubles that `body` writes.
  private func values(_ count: Int, _ body: (UnsafeMutablePointer<Double>) -> Void) -> [UInt8] {
    var room = [Double](repeating: -77, count: count)
    room.withUnsafeMutableBufferPointer { buffer in
      if let start = buffer.baseAddress { body(start) }
    }
    return room.withUnsafeBytes { Array($0) }
  }

  @Test(arguments: mergeable)
  func conversionsOfEverySize(input: DType) {
    let special: [Double] = [
      0, -0.0, .infinity, -.infinity, .nan, .leastNonzeroMagnitude, 0x1p-149, 0x1.8p-25, 65519.9,
      65520, 0x1.ffp127, -0x1.fffffffp127, 0x1.8p1023, -0x1p-1074, 1 + 0x1p-9, 1 + 0x1.8p-8,
    ]
    var random = CounterRandom(seed: 7, stream: 3)
    let spread = (0..<Self.count).map { i in
      i % 9 == 0
        ? special[i / 9 % special.count]
        : (random.uniform() - 0.5) * Double(sign: .plus, exponent: i % 300 - 150, significand: 1)
    }
    let numbers = Numbers(spread, input, misalignment: 1)
    for out in mergeable {
      compare("\(input) to \(out)") {
        bytes(out, Self.count) {
          Kernels.convert(into: $0, numbers.elements, count: Self.count)
        }
      }
    }
  }

  /// Every bit pattern of the two 16-bit types, signalling NaNs among them, and such floats.
  @Test(arguments: [DType.f16, .bf16, .f32])
  func everyPattern(input: DType) {
    let source = Numbers(room: 65536, input, misalignment: 1)
    for i in 0..<65536 {
      if input == .f32 {
        source.mutable.pointer.storeBytes(
          of: UInt32(i) << 16 | UInt32(i & 3), toByteOffset: 4 * i, as: UInt32.self)
      } else {
        source.mutable.pointer.storeBytes(of: UInt16(i), toByteOffset: 2 * i, as: UInt16.self)
      }
    }
    for out in mergeable {
      compare("\(input) to \(out)") {
        bytes(out, 65536) { Kernels.convert(into: $0, source.elements, count: 65536) }
      }
      compare("\(input) to \(out), summed") {
        bytes(out, 65536) {
          Kernels.linearCombination(into: $0, [source.elements], weights: [0.7], count: 65536)
        }
      }
    }
  }

  @Test(arguments: mergeable)
  func sumsAndChecks(input: DType) {
    let numbers = Numbers(sample(Self.count, seed: 5), input, misalignment: 1)
    for count in [0, 1, 8, 77, Self.count] {
      compare("sum of squares, \(input), \(count)") {
        let sum = Kernels.sumOfSquares(numbers.elements, count: count)
        return withUnsafeBytes(of: sum.bitPattern) { Array($0) }
      }
      let weights = Numbers(sample(count, seed: 6), .f32, misalignment: 1)
      compare("Gram matrix, \(input), \(count)") {
        let found = Kernels.gram(
          of: [numbers.elements, weights.elements], minus: numbers.elements, count: count)
        let plain = Kernels.gram(of: [numbers.elements, weights.elements], count: count)
        return (found + plain).withUnsafeBytes { Array($0) }
      }
      compare("inner product, \(input), \(count)") {
        let sum = Kernels.dot(
          numbers.elements, weights.elements, minus: numbers.elements, count: count)
        return withUnsafeBytes(of: sum.bitPattern) { Array($0) }
      }
      for isSquare in [false, true] {
        compare("accumulated \(input), \(count), squares \(isSquare)") {
          var sums = (0..<count).map { Float($0) * 0.125 }
          sums.withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return }
            if isSquare {
              Kernels.accumulateSquares(
                into: start, gradient: numbers.elements, weight: 0.3, count: count)
            } else {
              Kernels.accumulate(into: start, values: numbers.elements, weight: 0.3, count: count)
            }
          }
          return sums.withUnsafeBytes { Array($0) }
        }
      }
    }
    for place in [0, 63, 64, 700, Self.count - 1] {
      var values = [Double](repeating: 1, count: Self.count)
      values[place] = -1
      let one = Numbers(values, input, misalignment: 1)
      compare("check, \(input), \(place)") {
        let found = Kernels.firstNegativeOrNonFinite(one.elements, count: Self.count) ?? -1
        return withUnsafeBytes(of: found) { Array($0) }
      }
    }
  }

  @Test func powersOfTheWholeRange() {
    var random = CounterRandom(seed: 11, stream: 4)
    let wide = (0..<64).map { _ in (random.uniform() * 2200 - 1100) }
    for p in [0.3, -0.7, 3.5, 400] {
      let power = VectorPower(exponent: p)
      for start in stride(from: 0, to: wide.count, by: 8) {
        var x = SIMD8<Double>()
        for lane in 0..<8 {
          x[lane] = Double(sign: .plus, exponent: Int(wide[start + lane]), significand: 1.37)
        }
        compare("power \(p) of \(x)") { withUnsafeBytes(of: power(x)) { Array($0) } }
      }
    }
  }

  @Test func levelsAreChosenDownwards() {
    let available = CPULevel.available
    #expect(available.first == .baseline)
    #expect(available.map(\.rawValue) == available.map(\.rawValue).sorted())
    #expect(CPULevel.chosen(by: nil) == available.last)
    for other in ["", "1", "5", "03", "v3", "4 "] {
      #expect(CPULevel.chosen(by: other) == available.last, "'\(other)'")
    }
    #expect(CPULevel.chosen(by: "2") == .baseline)
    #expect(CPULevel.chosen(by: "3") == available.last { $0 != .v4 })
    #expect(CPULevel.chosen(by: "4") == available.last)
  }
}
