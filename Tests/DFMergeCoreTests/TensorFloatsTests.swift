import Testing

@testable import DFMergeCore

/// Tensors made from arrays, and read as numbers.
@Suite struct TensorFloatsTests {
  private func stored<T>(_ values: [T], _ dtype: DType) throws -> TensorView {
    let buffer = try AlignedBuffer(byteCount: values.count * MemoryLayout<T>.stride)
    values.withUnsafeBytes { buffer.bytes.copyMemory(from: $0) }
    return try TensorView(
      name: "t", dtype: dtype, shape: try Shape([values.count]),
      bytes: UnsafeRawBufferPointer(buffer.bytes), owner: buffer)
  }

  @Test func testValues_areCopiedAndOwned() throws {
    let tensor = try TensorView(name: "w", shape: [2, 3], values: [1, 2, 3, 4, 5, 6])
    #expect(tensor.dtype == .f32 && tensor.shape.dimensions == [2, 3])
    #expect(try tensor.floats() == [1, 2, 3, 4, 5, 6])
    #expect(try TensorView(name: "w", values: [7]).shape.dimensions == [1])
    #expect(try TensorView(name: "w", shape: [0, 4], values: []).floats() == [])
    for shape in [[2, 2], [-1, -6], [Int.max, 2]] {
      let error = #expect(throws: DFMergeError.self) {
        try TensorView(name: "w", shape: shape, values: [1, 2, 3, 4, 5, 6])
      }
      #expect(error?.code == .invalidArgument)
    }
  }

  @Test func testMutable_isWrittenInPlace() throws {
    let tensor = try MutableTensorView(name: "w", values: [1, 2])
    try tensor.floats()[1] = 5
    #expect(try TensorView(tensor).floats() == [1, 5])
  }

  @Test func testFloats_ofEveryType() throws {
    #expect(try stored([0.1, -2.5e300] as [Double], .f64).floats() == [0.1, -.infinity])
    #expect(
      try stored([0x3f80, 0xc020, 0x7f80] as [UInt16], .bf16).floats() == [1, -2.5, .infinity])
    let error = #expect(throws: DFMergeError.self) { try stored([1] as [Int64], .i64).floats() }
    #expect(error?.code == .dtypeMismatch)
    let other = try MutableTensorView(
      name: "w", dtype: .bf16, shape: try Shape([0]),
      bytes: UnsafeMutableRawBufferPointer(start: nil, count: 0))
    #expect(throws: DFMergeError.self) { try other.floats() }
  }

  @Test func testFloats_ofEveryF16() throws {
    let values = try stored(Array(UInt16.min...UInt16.max), .f16).floats()
    for (bits, value) in values.enumerated() {
      // By definition of the format: sign, 5 bits of exponent, 10 of fraction.
      let (exponent, fraction) = (bits >> 10 & 31, Float(bits & 1023))
      let magnitude: Float =
        switch exponent {
        case 0: fraction * 0x1p-24
        case 31: fraction == 0 ? .infinity : .nan
        default: (1024 + fraction) * Float(sign: .plus, exponent: exponent - 25, significand: 1)
        }
      #expect(magnitude.isNaN ? value.isNaN : value == (bits >= 0x8000 ? -magnitude : magnitude))
      #expect(value.sign == (bits >= 0x8000 ? .minus : .plus))
    }
  }

  @Test func testAlignment_isCheckedBeforeFloatsAreLent() throws {
    let memory = try AlignedBuffer(byteCount: 9)
    let odd = UnsafeMutableRawBufferPointer(rebasing: memory.bytes[1..<9])
    let tensor = try MutableTensorView(
      name: "w", dtype: .f32, shape: try Shape([2]), bytes: odd, owner: memory)
    let error = #expect(throws: DFMergeError.self) { try tensor.floats() }
    #expect(error?.code == .invalidArgument)
    #expect(try TensorView(tensor).floats() == [0, 0])
  }
}
