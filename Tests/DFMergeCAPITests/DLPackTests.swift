import CDFMergeShims
import DFMergeCAPI
import DFMergeCore
import Glibc
import Testing

@Suite struct DLPackTests {
  private func made(_ shape: [Int64], dtype: Int = DFM_DTYPE_F32) -> OpaquePointer? {
    var set: OpaquePointer?
    #expect(dfm_weights_create("a set", &set) == 0)
    #expect(dfm_weights_allocate(set, "w", Int32(dtype), shape, Int64(shape.count)) == 0)
    return set
  }

  private func message() -> String { dfm_last_error_message().map { String(cString: $0) } ?? "" }

  @Test func allocatedMemoryIsZeroAlignedAndFound() {
    let set = made([3, 5])
    defer { dfm_weights_free(set) }
    var data: UnsafeRawPointer?
    var size: Int64 = 0
    #expect(dfm_weights_data(set, "w", &data, &size) == 0)
    #expect(size == 60 && Int(bitPattern: data) % 64 == 0)
    #expect(UnsafeRawBufferPointer(start: data, count: 60).allSatisfy { $0 == 0 })
    #expect(
      dfm_weights_allocate(set, "x", Int32(DFM_DTYPE_F64), [1 << 40, 1 << 40], 2)
        == Int32(DFM_ERROR_INVALID_ARGUMENT))
    #expect(
      dfm_weights_allocate(set, "x", Int32(DFM_DTYPE_F4), [3], 1)
        == Int32(DFM_ERROR_INVALID_ARGUMENT))
    #expect(
      dfm_weights_allocate(set, "x", Int32(DFM_DTYPE_F64), [1 << 45], 1)
        == Int32(DFM_ERROR_OUT_OF_MEMORY))
    #expect(message().contains("could not be had"))
  }

  @Test(arguments: [Int32(0), 1])
  func aStructureOutlivesItsSet(major: Int32) throws {
    let set = made([2, 0, 3, 4].filter { $0 != 0 })
    var out: UnsafeMutableRawPointer?
    #expect(dfm_weights_dlpack(set, "w", major, &out) == 0)
    dfm_weights_free(set)
    let structure = try #require(out)
    let tensor: dfmk_dl_tensor
    if major == 0 {
      tensor = structure.load(as: dfmk_dl_legacy.self).tensor
    } else {
      let versioned = structure.load(as: dfmk_dl_versioned.self)
      #expect(versioned.major == 1 && versioned.minor == 0 && versioned.flags == 0)
      tensor = versioned.tensor
    }
    #expect(tensor.rank == 3 && tensor.device.type == 1 && tensor.byte_offset == 0)
    #expect(tensor.type.code == 2 && tensor.type.bits == 32 && tensor.type.lanes == 1)
    #expect(Array(UnsafeBufferPointer(start: tensor.shape, count: 3)) == [2, 3, 4])
    #expect(Array(UnsafeBufferPointer(start: tensor.strides, count: 3)) == [12, 4, 1])
    let values = try #require(tensor.data).assumingMemoryBound(to: Float.self)
    values[23] = 7
    #expect(values[23] == 7)
    if major == 0 {
      let legacy = structure.assumingMemoryBound(to: dfmk_dl_legacy.self)
      legacy.pointee.deleter?(legacy)
    } else {
      let versioned = structure.assumingMemoryBound(to: dfmk_dl_versioned.self)
      versioned.pointee.deleter?(versioned)
    }
  }

  @Test func whatCannotBeHandedOutIsExplained() {
    let set = made([2])
    defer { dfm_weights_free(set) }
    var out: UnsafeMutableRawPointer?
    #expect(dfm_weights_dlpack(set, "w", 2, &out) == Int32(DFM_ERROR_INVALID_ARGUMENT))
    #expect(dfm_weights_dlpack(set, "v", 1, &out) == Int32(DFM_ERROR_MISSING_TENSOR))
    #expect(dfm_weights_dlpack(set, "w", 1, nil) == Int32(DFM_ERROR_NULL_POINTER))
    var memory: [Float] = [1, 2]
    let status = memory.withUnsafeMutableBytes {
      dfm_weights_add(set, "lent", Int32(DFM_DTYPE_F32), [2], 1, $0.baseAddress, 8, 1)
    }
    #expect(status == 0)
    #expect(dfm_weights_dlpack(set, "lent", 1, &out) == Int32(DFM_ERROR_INVALID_STATE))
    #expect(message().contains("the host's own memory"))
    #expect(out == nil)
  }
}
