import Testing

@testable import DFMergeCore

@Suite struct ShapeAndTensorTests {
  @Test func testElementCount_isTheProduct() throws {
    #expect(try Shape([]).elementCount == 1)
    #expect(try Shape([3, 0, 5]).elementCount == 0)
    #expect(try Shape([2, 3, 4]).elementCount == 24)
  }

  @Test(arguments: [[-1], [Int.max, 2], [1 << 32, 1 << 32]])
  func testShape_refusesNegativeAndOverflowingSizes(_ sizes: [Int]) {
    #expect(throws: DFMergeError.self) { try Shape(sizes) }
  }

  @Test func testByteCount_refusesOverflowAndOpenBytes() {
    #expect(DType.f32.byteCount(elements: Int.max) == nil)
    #expect(DType.f4.byteCount(elements: 3) == nil)
    #expect(DType.f4.byteCount(elements: 4) == 2)
    #expect(DType.f32.byteCount(elements: -1) == nil)
  }

  @Test func testNames_roundTripForEveryType() {
    for type in DType.allCases { #expect(DType(name: type.name) == type) }
    #expect(DType(name: "F8_E4M3FN") == nil)
  }

  @Test func testTensorView_refusesAnotherByteLength() throws {
    let buffer = try AlignedBuffer(byteCount: 16)
    let shape = try Shape([2, 2])
    let bytes = UnsafeRawBufferPointer(buffer.bytes)
    #expect(throws: Never.self) {
      try TensorView(name: "a", dtype: .f32, shape: shape, bytes: bytes)
    }
    let error = #expect(throws: DFMergeError.self) {
      try TensorView(name: "a", dtype: .f64, shape: shape, bytes: bytes)
    }
    #expect(error?.message.contains("'a'") == true)
  }

  @Test func testNamedWeights_refuseARepeatedName() throws {
    let buffer = try AlignedBuffer(byteCount: 4)
    let view = try TensorView(
      name: "w", dtype: .f32, shape: try Shape([]), bytes: UnsafeRawBufferPointer(buffer.bytes))
    let error = #expect(throws: DFMergeError.self) {
      try NamedWeights([view, view], label: "test")
    }
    #expect(error?.code == .invalidArgument)
  }

  @Test(arguments: [0, 1_000, 8 << 20, (8 << 20) + 1])
  func testAlignedBuffer_isZeroAndAligned(_ count: Int) throws {
    let buffer = try AlignedBuffer(byteCount: count)
    #expect(buffer.bytes.count == count)
    #expect(UInt(bitPattern: buffer.address) % 64 == 0)
    #expect(buffer.bytes.allSatisfy { $0 == 0 })
    #expect(throws: DFMergeError.self) { try AlignedBuffer(byteCount: -1) }
    #expect(throws: DFMergeError.self) { try AlignedBuffer(byteCount: Int.max) }
  }
}
