import DFMergeCore
import DFMergeKernels
import Testing

@Suite("Conversion")
struct ConvertTests {
  /// Every bit pattern of the two 16-bit types, as the reference decodes it.
  @Test(arguments: [DType.f16, .bf16])
  func everySixteenBitPatternIsWidenedExactly(dtype: DType) {
    let source = Numbers(room: 65536, dtype, misalignment: 1)
    for i in 0..<65536 {
      source.mutable.pointer.storeBytes(
        of: UInt16(i), toByteOffset: 2 * i, as: UInt16.self)
    }
    for wide in [DType.f32, .f64] {
      let out = Numbers(room: 65536, wide)
      Kernels.convert(into: out.mutable, source.elements, count: 65536)
      #expect((0..<65536).allSatisfy { same(out[$0], source[$0]) })
    }
    // And back: nothing is lost but the payload of NaN.
    let back = Numbers(room: 65536, dtype, misalignment: 1)
    let middle = Numbers(source.values, .f64)
    Kernels.convert(into: back.mutable, middle.elements, count: 65536)
    #expect((0..<65536).allSatisfy { same(back[$0], source[$0]) })
  }

  /// Doubles at, just below and just above every point where rounding turns, which is where
  /// rounding by way of float goes wrong.
  @Test(arguments: [DType.f16, .bf16])
  func doublesAreRoundedOnce(dtype: DType) {
    var values: [Double] = []
    let decode = Numbers(room: 1, dtype)
    for pattern in stride(from: 0, to: dtype == .f16 ? 0x7C00 : 0x7F80, by: dtype == .f16 ? 1 : 3) {
      decode.mutable.pointer.storeBytes(of: UInt16(pattern), as: UInt16.self)
      let low = decode[0]
      decode.mutable.pointer.storeBytes(of: UInt16(pattern + 1), as: UInt16.self)
      let high =
        decode[0].isFinite ? decode[0] : (dtype == .f16 ? 0x1p16 : 0x1p128)
      let tie = low + (high - low) / 2
      values += [tie, tie.nextUp, tie.nextDown, -tie, -tie.nextUp, -tie.nextDown]
    }
    values += [
      .infinity, -.infinity, .nan, 0, -0.0, 1e300, -1e300, 1e-300, -1e-300, .leastNonzeroMagnitude,
      65519.99, 65520,
      3.39e38, 3.4e38, .greatestFiniteMagnitude,
    ]
    let source = Numbers(values, .f64)
    let out = Numbers(room: values.count, dtype, misalignment: 1)
    Kernels.convert(into: out.mutable, source.elements, count: values.count)
    expectRounded(out, values, dtype.name)
  }

  @Test func everyPairOfTypesAndEveryShortLength() {
    for from in mergeable {
      for to in mergeable {
        for count in Array(0...40) + [1023, 1024, 1025, 3000] {
          let source = Numbers(sample(count, seed: 3), from, misalignment: 1)
          let out = Numbers(room: count, to, misalignment: 3)
          Kernels.convert(into: out.mutable, source.elements, count: count)
          expectRounded(out, source.values, "\(from.name) to \(to.name), \(count)")
        }
      }
    }
  }

  @Test func sameTypeIsCopiedBitForBit() {
    for dtype in mergeable {
      let source = Numbers([-0.0, 0, .nan, .infinity, .leastNonzeroMagnitude, 1e-8, 1], dtype)
      let out = Numbers(room: 7, dtype)
      Kernels.convert(into: out.mutable, source.elements, count: 7)
      #expect(out.bytes == source.bytes)
    }
  }
}
