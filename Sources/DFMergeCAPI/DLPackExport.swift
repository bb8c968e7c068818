import CDFMergeShims
import DFMergeCore
import Glibc

/// A tensor of the library's as a DLPack structure that keeps its memory alive by itself.
///
/// The deleter is a plain C function over a retained object: whoever took the structure may call it
/// on any thread, holding whatever locks, and also when the interpreter that passed it on is gone.
enum DLPackExport {
  /// What is exported.
  struct Tensor {
    let dtype: DType
    let shape: [Int]
    let address: UnsafeMutableRawPointer?
    let isReadOnly: Bool
    /// Keeps the memory alive.
    let owner: AnyObject
  }

  /// Makes the structure: DLManagedTensor for `major` 0, DLManagedTensorVersioned for 1.
  /// - Throws: `.invalidArgument` for another version; `.unsupported` for read-only memory in the
  ///   structure of version 0, which cannot say so; `.outOfMemory`.
  static func make(_ tensor: Tensor, major: Int32) throws(DFMergeError) -> UnsafeMutableRawPointer {
    switch major {
    case 0:
      guard !tensor.isReadOnly else {
        throw DFMergeError(
          .unsupported,
          "The tensor is read-only, which DLPack says since version 1.0 only; ask for major "
            + "version 1, or copy the tensor.")
      }
      let (block, description) = try describe(tensor, after: MemoryLayout<dfmk_dl_legacy>.stride)
      block.initializeMemory(
        as: dfmk_dl_legacy.self,
        to: dfmk_dl_legacy(
          tensor: description, context: Unmanaged.passRetained(tensor.owner).toOpaque(),
          deleter: { structure in
            guard let structure, let owner = structure.pointee.context else { return }
            Unmanaged<AnyObject>.fromOpaque(owner).release()
            free(structure)
          }))
      return block
    case 1:
      let (block, description) = try describe(
        tensor, after: MemoryLayout<dfmk_dl_versioned>.stride)
      block.initializeMemory(
        as: dfmk_dl_versioned.self,
        to: dfmk_dl_versioned(
          // The codes beyond Boolean came with 1.1.
          major: 1, minor: description.type.code > 6 ? 1 : 0,
          context: Unmanaged.passRetained(tensor.owner).toOpaque(),
          deleter: { structure in
            guard let structure, let owner = structure.pointee.context else { return }
            Unmanaged<AnyObject>.fromOpaque(owner).release()
            free(structure)
          },
          flags: tensor.isReadOnly ? 1 : 0, tensor: description))
      return block
    default:
      throw DFMergeError(
        .invalidArgument,
        "'major' is \(major); pass 1 for DLManagedTensorVersioned or 0 for DLManagedTensor.",
        context: ["argument": "major"])
    }
  }

  /// One block for the structure, the shape and the strides, and the description that goes into it.
  private static func describe(
    _ tensor: Tensor, after size: Int
  ) throws(DFMergeError) -> (block: UnsafeMutableRawPointer, tensor: dfmk_dl_tensor) {
    let rank = tensor.shape.count
    guard let block = malloc(size + 2 * rank * MemoryLayout<Int64>.stride) else {
      throw DFMergeError(.outOfMemory, "The description of a tensor could not be allocated.")
    }
    let sizes = (block + size).bindMemory(to: Int64.self, capacity: 2 * rank)
    var stride: Int64 = 1
    for axis in (0..<rank).reversed() {
      sizes[axis] = Int64(tensor.shape[axis])
      sizes[rank + axis] = stride
      // A tensor with a size of 0 has no elements to step over, whatever the other sizes are.
      stride = stride.multipliedReportingOverflow(by: max(sizes[axis], 1)).partialValue
    }
    let description = dfmk_dl_tensor(
      data: tensor.address, device: dfmk_dl_device(type: 1, id: 0), rank: Int32(rank),
      type: dfmk_dl_type(
        code: code(of: tensor.dtype), bits: UInt8(tensor.dtype.bitWidth), lanes: 1),
      shape: sizes, strides: sizes + rank, byte_offset: 0)
    return (block, description)
  }

  /// DLDataTypeCode of DLPack 1.1.
  private static func code(of dtype: DType) -> UInt8 {
    switch dtype {
    case .i64, .i32, .i16, .i8: 0
    case .u64, .u32, .u16, .u8: 1
    case .f64, .f32, .f16: 2
    case .bf16: 4
    case .c64: 5
    case .bool: 6
    case .f8e4m3: 10
    case .f8e4m3fnuz: 11
    case .f8e5m2: 12
    case .f8e5m2fnuz: 13
    case .f8e8m0: 14
    case .f6e2m3: 15
    case .f6e3m2: 16
    case .f4: 17
    }
  }
}
