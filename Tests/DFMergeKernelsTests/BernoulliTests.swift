import DFMergeCore
import DFMergeKernels
import Testing

@Suite("Bernoulli masks")
struct BernoulliTests {
  /// The mask of one model, read off a merge of ones into zeros.
  private func draws(
    _ count: Int, density: Double, seed: UInt64 = 1, key: UInt64 = 7, offset: Int = 0,
    model: Int = 0, dtype: DType = .f32
  ) -> [Bool] {
    let base = Numbers([Double](repeating: 0, count: count), dtype)
    let models = (0...model).map {
      Numbers([Double](repeating: Double($0 + 1), count: count), dtype)
    }
    let out = Numbers(room: count, dtype)
    Kernels.termSum(
      into: out.mutable, base: base.elements, models: models.map(\.elements),
      terms: (0...model).map { TaskVectorTerm(factor: $0 == model ? 1 : 0) },
      mask: BernoulliMask(
        seed: seed, tensorKey: key, offset: offset,
        densities: [Double](repeating: density, count: model + 1)), count: count)
    return out.values.map { $0 != 0 }
  }

  @Test func drawsAreThoseOfTheDefinition() {
    for (key, offset) in [(UInt64(7), 0), (.max, 3), (1 << 40, 1 << 36), (0, 31)] {
      for model in [0, 2] {
        let mask = BernoulliMask(
          seed: 0xdead_beef_0123, tensorKey: key, offset: offset,
          densities: [0.3, 0.3, 0.3])
        let reference = ElectionCase(300, models: 3, input: .f32, base: .f32)
        let found = draws(
          300, density: 0.3, seed: 0xdead_beef_0123, key: key, offset: offset, model: model)
        #expect(found == (0..<300).map { reference.isKept(mask, model, $0) }, "\(key) \(offset)")
      }
    }
  }

  @Test func everyCutGivesTheSameMask() {
    let whole = draws(5000, density: 0.6)
    for cuts in [[1], [31, 32, 33], [1024], [7, 2000, 4097]] {
      var parts: [Bool] = []
      for end in cuts + [5000] {
        parts += draws(end - parts.count, density: 0.6, offset: parts.count)
      }
      #expect(parts == whole)
    }
    #expect(draws(5000, density: 0.6, dtype: .f64) == whole)
    #expect(draws(5000, density: 0.6, dtype: .bf16) == whole)
  }

  @Test func otherSeedsTensorsAndModelsAreIndependent() {
    let count = 100_000
    let one = draws(count, density: 0.5)
    let others = [
      draws(count, density: 0.5, seed: 2), draws(count, density: 0.5, key: 8),
      draws(count, density: 0.5, model: 1), draws(count, density: 0.5, offset: 1),
    ]
    for other in others {
      // Five standard deviations of a fair coin.
      let agreeing = zip(one, other).count { $0 == $1 }
      #expect(abs(Double(agreeing) - 50_000) < 5 * 158.2)
    }
  }

  @Test(arguments: [0.0, 0.01, 0.25, 0.9, 1.0])
  func asManyAreKeptAsTheDensitySays(density: Double) {
    let kept = Double(draws(200_000, density: density).count { $0 })
    let deviation = (200_000 * density * (1 - density)).squareRoot()
    #expect(abs(kept - 200_000 * density) <= 5 * deviation)
  }
}
