import DFMergeCore
import DFMergeKernels
import Testing

@Suite("One task vector for all models")
struct UnifiedTests {
  static let counts = [0, 1, 5, 15, 16, 17, 24, 77, 1024 + 64 + 16 + 5]

  private func vector(_ merge: ElectionCase) -> [Double] {
    (0..<merge.count).map { i in
      let changes = merge.models.map { $0[i] - merge.base[i] }
      let sum =
        changes.filter { $0 > 0 }.reduce(0, +) + changes.filter { $0 < 0 }.reduce(0, +)
      return (sum > 0 ? changes.max() : changes.min()) ?? 0
    }
  }

  private func has(_ merge: ElectionCase, _ model: Int, _ i: Int, _ u: Double) -> Bool {
    let change = merge.models[model][i] - merge.base[i]
    return change > 0 && u > 0 || change < 0 && u < 0
  }

  /// Room for the bits of each model, with a byte behind that is left alone.
  private func withBits(
    _ models: Int, _ count: Int, _ body: ([UnsafeMutableRawPointer]) -> Void
  ) -> [[UInt8]] {
    let size = (count + 7) / 8 + 1
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: models * size, alignment: 1)
    defer { memory.deallocate() }
    memory.initializeMemory(as: UInt8.self, repeating: 0xa5)
    guard let start = memory.baseAddress else { return [] }
    body((0..<models).map { start + $0 * size })
    return (0..<models).map { Array(memory[$0 * size..<($0 + 1) * size]) }
  }

  @Test(arguments: mergeable)
  func vectorAndBits(dtype: DType) {
    for count in Self.counts {
      let merge = ElectionCase(count, models: 3, input: dtype, base: .f32, offset: 1, grid: 0.25)
      let expected = vector(merge)
      for out in mergeable {
        let room = Numbers(room: count, out, misalignment: 1)
        let bits = withBits(3, count) {
          Kernels.unifiedTaskVector(
            into: room.mutable, bits: $0, base: merge.base.elements,
            models: merge.models.map(\.elements), count: count)
        }
        expectRounded(room, expected, "\(dtype) \(count)")
        for (model, bytes) in bits.enumerated() {
          for i in 0..<count {
            #expect((bytes[i / 8] >> UInt8(i % 8) & 1 == 1) == has(merge, model, i, expected[i]))
          }
          if count % 8 > 0 { #expect(bytes[count / 8] >> UInt8(count % 8) == 0) }
          #expect(bytes.last == 0xa5)
        }
      }
    }
  }

  @Test(arguments: mergeable)
  func tasksFromModelsAndFromBits(dtype: DType) {
    for count in Self.counts {
      let merge = ElectionCase(count, models: 3, input: dtype, base: .f32, offset: 1)
      let u = Numbers(vector(merge), .f64)
      let models = merge.models.map(\.elements)
      for task in 0..<3 {
        let expected = (0..<count).map { i in
          merge.base[i] + 0.75 * (has(merge, task, i, u[i]) ? u[i] : 0)
        }
        let direct = Numbers(room: count, .f64, misalignment: 1)
        Kernels.unifiedTask(
          into: direct.mutable, base: merge.base.elements, models: models, task: task,
          factor: 0.75, count: count)
        expectRounded(direct, expected, "task \(task)")
        let again = Numbers(room: count, .f64, misalignment: 1)
        _ = withBits(3, count) { bits in
          let room = Numbers(room: count, .f64)
          Kernels.unifiedTaskVector(
            into: room.mutable, bits: bits, base: merge.base.elements, models: models,
            count: count)
          Kernels.maskedTaskVector(
            into: again.mutable, base: merge.base.elements, vector: u.elements,
            bits: UnsafeRawPointer(bits[task]), factor: 0.75, count: count)
        }
        #expect(again.bytes == direct.bytes)
      }
      let everywhere = Numbers(room: count, .f64)
      Kernels.maskedTaskVector(
        into: everywhere.mutable, base: merge.base.elements, vector: u.elements, bits: nil,
        factor: 2, count: count)
      expectRounded(everywhere, (0..<count).map { merge.base[$0] + 2 * u[$0] }, "without bits")
    }
  }

  @Test func sizesAreSums() {
    for count in Self.counts + [5000] {
      // On a grid, sums are exact in any order.
      let merge = ElectionCase(count, models: 3, input: .f32, base: .f32, grid: 0.25)
      let u = vector(merge)
      let found = Kernels.unifiedSums(
        base: merge.base.elements, models: merge.models.map(\.elements), count: count)
      for m in 0..<3 {
        let size = (0..<count).reduce(0) { $0 + abs(merge.models[m][$1] - merge.base[$1]) }
        let own = (0..<count).reduce(0) { $0 + (has(merge, m, $1, u[$1]) ? abs(u[$1]) : 0) }
        #expect(found[m] == size && found[3 + m] == own)
      }
    }
  }

  @Test func nanShows() {
    let merge = ElectionCase(40, models: 2, input: .f32, base: .f32)
    let broken = Numbers((0..<40).map { $0 == 33 ? .nan : merge.models[1][$0] }, .f32)
    let models = [merge.models[0].elements, broken.elements]
    let out = Numbers(room: 40, .f32)
    for task in 0..<2 {
      let outcome = Kernels.unifiedTask(
        into: out.mutable, base: merge.base.elements, models: models, task: task, factor: 1,
        count: 40)
      #expect(outcome.hasNonFinite && out[33].isNaN && !out[32].isNaN)
    }
  }
}
