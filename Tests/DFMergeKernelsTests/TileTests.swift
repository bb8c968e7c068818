import DFMergeCore
import DFMergeKernels
import Testing

/// Cutting a call into pieces, at any place and on any number of threads, gives the same bits.
@Suite("Tiles")
struct TileTests {
  static let count = 3001
  static let cuts = [1, 7, 8, 64, 333, 512, 1000, 2999]

  private func check(
    _ out: DType, _ name: String, _ call: (MutableElements, Int, Int) -> Void
  ) {
    let whole = Numbers(room: Self.count, out)
    call(whole.mutable, 0, Self.count)
    for tile in Self.cuts {
      let pieces = Numbers(room: Self.count, out, misalignment: 1)
      for start in stride(from: 0, to: Self.count, by: tile) {
        call(pieces.mutable.advanced(by: start), start, min(tile, Self.count - start))
      }
      #expect(whole.bytes == pieces.bytes, "\(name) into \(out.name), tiles of \(tile)")
    }
  }

  @Test(arguments: mergeable)
  func sameBitsForAnyCut(dtype: DType) {
    let inputs = FisherCase(
      Self.count, models: 3, input: dtype, base: .f32, fisher: .f32, interpolated: true)
    let direct = FisherCase(Self.count, models: 3, input: dtype, base: .f32)
    for (merge, exponents) in [(inputs, [1, 0.3]), (direct, [1, 0.5])] {
      for exponent in exponents {
        check(dtype, "p \(exponent)") { out, start, n in
          Kernels.dynamicFisherSum(
            into: out, base: merge.base.elements.advanced(by: start),
            models: merge.models.map { $0.elements.advanced(by: start) },
            fishers: merge.fishers.map { $0.advanced(by: start) }, coefficients: merge.c,
            epsilon: 1e-12, exponent: exponent, count: n)
        }
      }
    }
    check(dtype, "mean") { out, start, n in
      Kernels.fisherWeightedMean(
        into: out, models: inputs.models.map { $0.elements.advanced(by: start) },
        fishers: inputs.fishers.map { $0.advanced(by: start) }, weights: [1, 2, 3],
        floors: [0, 1e-3, 1e-6], count: n)
    }
    check(dtype, "task vectors") { out, start, n in
      Kernels.taskVectorSum(
        into: out, base: inputs.base.elements.advanced(by: start),
        models: inputs.models.map { $0.elements.advanced(by: start) }, coefficients: inputs.c,
        count: n)
    }
    check(dtype, "linear") { out, start, n in
      Kernels.linearCombination(
        into: out, inputs.models.map { $0.elements.advanced(by: start) }, weights: inputs.c,
        count: n)
    }
  }

  @Test func sameBitsForAnyNumberOfThreads() throws {
    let inputs = FisherCase(Self.count, models: 4)
    let whole = Numbers(room: Self.count, .f32)
    inputs.merge(into: whole, epsilon: 1e-12, exponent: 0.4)
    let base = inputs.base.elements
    let models = inputs.models.map(\.elements)
    let fishers = inputs.fishers
    let c = inputs.c
    for threads in [1, 2, 5] {
      let out = Numbers(room: Self.count, .f32)
      let target = out.mutable
      try ParallelFor.run(count: 31, threads: threads, poll: neverStop) { i in
        let start = i * 100
        Kernels.dynamicFisherSum(
          into: target.advanced(by: start), base: base.advanced(by: start),
          models: models.map { $0.advanced(by: start) },
          fishers: fishers.map { $0.advanced(by: start) }, coefficients: c, epsilon: 1e-12,
          exponent: 0.4, count: min(100, Self.count - start))
      }
      #expect(out.bytes == whole.bytes, "\(threads) threads")
    }
  }
}
