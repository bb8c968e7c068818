import CDFMergeShims
import DFMerge
import DFMergeCore

/// Adds a tensor whose memory the library makes, preset to 0: writable, aligned to 64 bytes, found
/// with dfm_weights_data.
///
/// - Parameter weights: [inout] [borrowed] A handle of dfm_weights_create.
/// - Parameter name: [in] [borrowed] The tensor's name, unique in this set.
/// - Parameter dtype: [in] One of DFM_DTYPE_*.
/// - Parameter shape: [in] [borrowed] [nullable] Sizes, outermost axis first; may be NULL for rank
///   0.
/// - Parameter rank: [in] Number of axes, 0 for a scalar.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT
///   (sizes that do not fit, an unknown dtype), DFM_ERROR_INVALID_STATE (an opened file) or
///   DFM_ERROR_OUT_OF_MEMORY.
@_cdecl("dfm_weights_allocate")
public func dfm_weights_allocate(
  _ weights: DFMWeightsRef?, _ name: UnsafePointer<CChar>?, _ dtype: Int32,
  _ shape: UnsafePointer<Int64>?, _ rank: Int64
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try Handle.get(weights, as: WeightsBox.self, argument: "weights")
    let (name, type, shape) = try tensorArguments(name, dtype, shape, rank)
    guard let size = type.byteCount(elements: shape.elementCount) else {
      throw DFMergeError(
        .invalidArgument,
        "Tensor '\(name)' is \(type.name) \(shape), whose size overflows 64 bits or does not end "
          + "on a whole byte; change its shape or dtype.", context: ["tensor": name])
    }
    let memory = try AlignedBuffer(byteCount: size)
    try box.add(
      name: name, dtype: type, shape: shape, bytes: memory.bytes, writable: true, owner: memory)
  }
}

/// Hands a tensor out as a DLPack structure, without a copy: of an opened checkpoint (mapped
/// memory, read-only), or made by dfm_weights_allocate (writable).
///
/// The structure keeps the memory alive by itself, also when the set is freed, until its deleter is
/// called, from any thread. Rows are contiguous; the strides are filled in.
///
/// - Parameter weights: [in] [borrowed] The set.
/// - Parameter name: [in] [borrowed] The tensor's name.
/// - Parameter major: [in] DLPack's major version: 1 for a DLManagedTensorVersioned, 0 for the
///   DLManagedTensor from before, which read-only memory cannot have.
/// - Parameter out: [out] [owned] The structure; whoever takes it calls its deleter once.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_MISSING_TENSOR,
///   DFM_ERROR_INVALID_ARGUMENT (another version), DFM_ERROR_INVALID_STATE (memory that the host
///   has lent: it is not the library's to hand out), DFM_ERROR_UNSUPPORTED (read-only in version 0)
///   or DFM_ERROR_OUT_OF_MEMORY.
@_cdecl("dfm_weights_dlpack")
public func dfm_weights_dlpack(
  _ weights: DFMWeightsRef?, _ name: UnsafePointer<CChar>?, _ major: Int32,
  _ out: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try Handle.get(weights, as: WeightsBox.self, argument: "weights")
    let name = try text(name, "name")
    let out = try required(out, "out")
    out.pointee = try DLPackExport.make(try box.exported(name), major: major)
  }
}

/// Hands one tensor's Fisher values out as a DLPack structure of float32, writable, in the tensor's
/// shape, without a copy.
///
/// Values count for the search where they are written before the callback returns. The memory stays
/// until the structure's deleter is called, from any thread.
///
/// - Parameter fisher: [inout] [borrowed] The handle that the Fisher callback was given.
/// - Parameter name: [in] [borrowed] The tensor's name in the target.
/// - Parameter shape: [in] [borrowed] [nullable] Sizes to give it, with as many elements as there
///   are values; NULL for one axis.
/// - Parameter rank: [in] Number of axes of shape.
/// - Parameter major: [in] DLPack's major version, as for dfm_weights_dlpack.
/// - Parameter out: [out] [owned] The structure; whoever takes it calls its deleter once.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_MISSING_TENSOR (not
///   a merged tensor of the target), DFM_ERROR_SHAPE_MISMATCH, DFM_ERROR_INVALID_ARGUMENT (another
///   version) or DFM_ERROR_OUT_OF_MEMORY.
@_cdecl("dfm_fisher_dlpack")
public func dfm_fisher_dlpack(
  _ fisher: DFMFisherRef?, _ name: UnsafePointer<CChar>?, _ shape: UnsafePointer<Int64>?,
  _ rank: Int64, _ major: Int32, _ out: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try Handle.get(fisher, as: FisherBox.self, argument: "fisher")
    let name = try text(name, "name")
    let out = try required(out, "out")
    let values = try box.request.values(of: name)
    let sizes =
      shape == nil ? try Shape([values.count]) : try tensorShape(name, shape, rank)
    guard sizes.elementCount == values.count else {
      throw DFMergeError(
        .shapeMismatch,
        "The Fisher values of '\(name)' are \(values.count), not of the shape \(sizes); pass the "
          + "tensor's own shape.", context: ["tensor": name])
    }
    out.pointee = try DLPackExport.make(
      DLPackExport.Tensor(
        dtype: .f32, shape: sizes.dimensions, address: UnsafeMutableRawPointer(values.baseAddress),
        isReadOnly: false, owner: box.request),
      major: major)
  }
}

/// Name, type and shape of a tensor in C arguments.
func tensorArguments(
  _ name: UnsafePointer<CChar>?, _ dtype: Int32, _ shape: UnsafePointer<Int64>?, _ rank: Int64
) throws(DFMergeError) -> (name: String, dtype: DType, shape: Shape) {
  let name = try text(name, "name")
  guard let type = DType(rawValue: dtype) else {
    throw DFMergeError(
      .invalidArgument,
      "Tensor '\(name)' has the unknown dtype number \(dtype); use DFM_DTYPE_*.",
      context: ["tensor": name])
  }
  return (name, type, try tensorShape(name, shape, rank))
}

/// The shape of a tensor in C arguments.
func tensorShape(
  _ name: String, _ shape: UnsafePointer<Int64>?, _ rank: Int64
) throws(DFMergeError) -> Shape {
  guard rank <= 64 else {
    throw DFMergeError(
      .invalidArgument, "Tensor '\(name)' has rank \(rank); the most is 64.",
      context: ["tensor": name])
  }
  return try Shape(try items(shape, rank, "shape").map(Int.init))
}
