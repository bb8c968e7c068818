import DFMergeCore
import DFMergeKernels
import Testing

/// What kernels notice while they store.
@Suite("Store outcome")
struct OutcomeTests {
  /// Whole steps, and rests of every kind.
  static let counts = [1, 7, 8, 9, 15, 16, 17, 31, 33, 47, 64, 200, 1029]

  private func merge(
    _ inputs: FisherCase, _ out: Numbers, exponent: Double = 1
  ) -> StoreOutcome {
    Kernels.dynamicFisherSum(
      into: out.mutable, base: inputs.base.elements, models: inputs.models.map(\.elements),
      fishers: inputs.fishers, coefficients: inputs.c, epsilon: 1e-12, exponent: exponent,
      count: out.count)
  }

  private func mean(_ inputs: FisherCase, _ out: Numbers) -> StoreOutcome {
    Kernels.fisherWeightedMean(
      into: out.mutable, models: inputs.models.map(\.elements), fishers: inputs.fishers,
      weights: inputs.models.map { _ in 1 }, floors: inputs.models.map { _ in 0 },
      count: out.count)
  }

  /// Every kernel that stores, on models of which the first is `first`.
  private func storing(_ first: Numbers, _ out: Numbers) -> [(String, () -> StoreOutcome)] {
    let n = first.count
    let second = Numbers(sample(n, seed: 8), first.dtype)
    var fishers = FisherCase(n, models: 2)
    fishers.models = [first, second]
    let inputs = fishers
    return [
      ("convert", { Kernels.convert(into: out.mutable, first.elements, count: n) }),
      (
        "linear",
        {
          Kernels.linearCombination(
            into: out.mutable, [first.elements, second.elements], weights: [1, 0.5], count: n)
        }
      ),
      (
        "task vectors",
        {
          Kernels.taskVectorSum(
            into: out.mutable, base: second.elements, models: [first.elements],
            coefficients: [0.5], count: n)
        }
      ),
      ("DF-Merge", { merge(inputs, out) }),
      ("DF-Merge, powers", { merge(inputs, out, exponent: 0.3) }),
      ("mean", { mean(inputs, out) }),
    ]
  }

  @Test(arguments: mergeable)
  func ordinaryNumbersRaiseNoFlag(dtype: DType) {
    for count in Self.counts {
      var values = sample(count, seed: 3)
      // Zeros of both signs and the smallest numbers are ordinary too.
      let small = [0, -0.0, 0x1p-1050, -6e-8]
      for i in stride(from: 0, to: count, by: 5) { values[i] = small[i / 5 % 4] }
      let out = Numbers(room: count, dtype)
      for (name, call) in storing(Numbers(values, dtype), out) {
        let outcome = call()
        #expect(!outcome.hasNonFinite && !outcome.hasInvalidFisher, "\(name), \(count)")
      }
    }
  }

  @Test(arguments: mergeable)
  func nonFiniteResultsAreNoticedWhereverTheyAre(dtype: DType) {
    for count in Self.counts {
      for place in Set([0, count / 2, count - 1]) {
        for bad in [Double.nan, .infinity, -.infinity] {
          var values = sample(count, seed: 3)
          values[place] = bad
          let out = Numbers(room: count, dtype)
          for (name, call) in storing(Numbers(values, dtype), out) {
            let outcome = call()
            #expect(outcome.hasNonFinite && !outcome.hasInvalidFisher, "\(name), \(place)/\(count)")
          }
        }
      }
    }
  }

  @Test(arguments: [DType.f32, .f16, .bf16])
  func overflowOfTheStoreIsNoticed(dtype: DType) {
    let largest = dtype == .f16 ? 65504.0 : 0x1.fep127
    let x = Numbers([Double](repeating: 1, count: 20) + [largest], .f64)
    let out = Numbers(room: 21, dtype)
    func outcome(_ weight: Double) -> StoreOutcome {
      Kernels.linearCombination(into: out.mutable, [x.elements], weights: [weight], count: 21)
    }
    #expect(!outcome(0.999).hasNonFinite)
    #expect(outcome(1.01).hasNonFinite)
    #expect(outcome(-1.01).hasNonFinite)
  }

  @Test(arguments: mergeable)
  func invalidFisherValuesAreNoticed(fisher: DType) {
    for count in [1, 16, 21, 300] {
      for place in Set([0, count / 2, count - 1]) {
        for bad in [-1e-3, -6e-8, Double.nan, .infinity, -.infinity, -0.0] {
          for isUpper in [false, true] {
            var inputs = FisherCase(count, models: 3, fisher: fisher, interpolated: true)
            var values = fisherSample(count, seed: 9)
            values[place] = bad
            if isUpper {
              inputs.upper[2] = Numbers(values, fisher)
            } else {
              inputs.lower[1] = Numbers(values, fisher)
            }
            let expected = !(bad == 0)
            let out = Numbers(room: count, .f32)
            for exponent in [1, 0.5, 0.3, -0.5] {
              let outcome = merge(inputs, out, exponent: exponent)
              #expect(
                outcome.hasInvalidFisher == expected, "\(bad) \(place)/\(count) p \(exponent)")
            }
            #expect(mean(inputs, out).hasInvalidFisher == expected, "\(bad) \(place)/\(count)")
          }
        }
      }
    }
  }

  @Test func tinyNegativeFisherValuesOfF64AreNoticed() {
    var inputs = FisherCase(30, models: 2, fisher: .f64)
    var values = fisherSample(30, seed: 9)
    values[17] = -.leastNonzeroMagnitude
    inputs.lower[1] = Numbers(values, .f64)
    #expect(merge(inputs, Numbers(room: 30, .f32)).hasInvalidFisher)
  }

  @Test(arguments: mergeable)
  func errorOfTheStore(dtype: DType) {
    for count in Self.counts {
      var exact = sample(count, seed: 6, scale: 3)
      // Numbers that are stored as they are, as subnormal numbers and as 0.
      for i in stride(from: 0, to: count, by: 6) { exact[i] = [0, 0.5, 3e-6, -1e-41][i / 6 % 4] }
      let source = Numbers(exact, .f64)
      let out = Numbers(room: count, dtype)
      let outcome = Kernels.linearCombination(
        into: out.mutable, [source.elements], weights: [0.75], count: count)
      let isShort = dtype == .f16 || dtype == .bf16
      var error = 0.0
      var value = 0.0
      if isShort {
        for i in 0..<count {
          error += (out[i] - exact[i] * 0.75) * (out[i] - exact[i] * 0.75)
          value += exact[i] * 0.75 * exact[i] * 0.75
        }
      }
      #expect(abs(outcome.squaredError - error) <= 1e-13 * error, "\(count)")
      #expect(abs(outcome.squaredValue - value) <= 1e-13 * value, "\(count)")
      let copy = Numbers(room: count, dtype)
      let copied = Kernels.convert(into: copy.mutable, out.elements, count: count)
      #expect(copy.bytes == out.bytes)
      let kept = isShort ? (0..<count).reduce(0) { $0 + out[$1] * out[$1] } : 0
      #expect(copied.squaredError == 0)
      #expect(abs(copied.squaredValue - kept) <= 1e-13 * kept)
    }
  }

  /// The sums are the same to the bit wherever the elements lie and however they are written.
  @Test(arguments: [DType.f16, .bf16])
  func sumsDependOnTheCountOnly(dtype: DType) {
    let exact = sample(1029, seed: 6)
    var outcomes: [StoreOutcome] = []
    for offset in 0...3 {
      for bypasses in [false, true] {
        let source = Numbers(exact, .f64, misalignment: offset)
        let out = Numbers(room: 1029, dtype, misalignment: offset)
        outcomes.append(
          Kernels.convert(
            into: MutableElements(
              pointer: out.mutable.pointer, dtype: dtype, bypassesCache: bypasses),
            source.elements, count: 1029))
        expectRounded(out, source.values, "\(offset), bypasses \(bypasses)")
      }
    }
    #expect(Set(outcomes.map(\.squaredError)).count == 1)
    #expect(Set(outcomes.map(\.squaredValue)).count == 1)
  }

  @Test func runsAreAdded() {
    var sum = StoreOutcome()
    var other = StoreOutcome()
    other.squaredError = 0.5
    other.squaredValue = 2
    sum.add(other)
    other.hasNonFinite = true
    sum.add(other)
    #expect(sum.hasNonFinite && !sum.hasInvalidFisher)
    #expect(sum.squaredError == 1 && sum.squaredValue == 4)
    other.hasInvalidFisher = true
    sum.add(other)
    #expect(sum.hasInvalidFisher)
  }

  /// Writing past the caches changes nothing but the way, aligned or not.
  @Test(arguments: mergeable)
  func bypassingTheCacheChangesNothing(dtype: DType) {
    for count in [1, 16, 31, 64, 77, 1029] {
      for offset in [0, 1, 2] {
        let plain = Numbers(room: count, dtype, misalignment: offset)
        let past = Numbers(room: count, dtype, misalignment: offset)
        for input in mergeable {
          let inputs = FisherCase(count, models: 2, input: input, offset: offset)
          let direct = MutableElements(
            pointer: past.mutable.pointer, dtype: dtype, bypassesCache: true)
          for (out, numbers) in [(plain.mutable, plain), (direct, past)] {
            Kernels.dynamicFisherSum(
              into: out, base: inputs.base.elements, models: inputs.models.map(\.elements),
              fishers: inputs.fishers, coefficients: inputs.c, epsilon: 1e-12, exponent: 1,
              count: count)
            #expect(numbers.isIntact)
          }
          #expect(plain.bytes == past.bytes, "\(input) to \(dtype), \(count)")
          Kernels.convert(into: plain.mutable, inputs.models[0].elements, count: count)
          Kernels.convert(into: direct, inputs.models[0].elements, count: count)
          #expect(plain.bytes == past.bytes && past.isIntact, "copy of \(input), \(count)")
        }
      }
    }
  }
}
