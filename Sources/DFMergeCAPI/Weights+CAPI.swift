import CDFMergeShims
import DFMergeCore
import DFMergeIO

/// A handle of type dfm_weights.
public typealias DFMWeightsRef = OpaquePointer

/// Makes an empty set of named tensors, to be filled with dfm_weights_add.
///
/// - Parameter label: [in] [borrowed] What messages call it: "base", "target", a model's name.
/// - Parameter out: [out] [owned] The new handle; free it with dfm_weights_free.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER or DFM_ERROR_INVALID_ARGUMENT.
@_cdecl("dfm_weights_create")
public func dfm_weights_create(
  _ label: UnsafePointer<CChar>?, _ out: UnsafeMutablePointer<DFMWeightsRef?>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = WeightsBox(label: try text(label, "label"))
    try required(out, "out").pointee = Handle.make(box)
  }
}

/// Opens a checkpoint: a .safetensors file, or a Hugging Face folder with model.safetensors or
/// model.safetensors.index.json. The files are mapped, not read; they must not change while open.
/// Its label is the path; dfm_weights_share gives it another.
///
/// - Parameter path: [in] [borrowed] File or folder.
/// - Parameter out: [out] [owned] The new handle; free it with dfm_weights_free.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_INVALID_ARGUMENT (the path is empty
///   or not UTF-8), DFM_ERROR_FILE_NOT_FOUND, DFM_ERROR_IO_FAILURE, DFM_ERROR_INVALID_FORMAT or
///   DFM_ERROR_UNSUPPORTED.
@_cdecl("dfm_weights_open")
public func dfm_weights_open(
  _ path: UnsafePointer<CChar>?, _ out: UnsafeMutablePointer<DFMWeightsRef?>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let out = try required(out, "out")
    out.pointee = Handle.make(WeightsBox(try Checkpoint.open(try text(path, "path"))))
  }
}

/// Makes another handle on the same tensors, under another label: what messages call them, and the
/// name of a model's options.
///
/// What is added to one of the two later is not in the other.
///
/// - Parameter weights: [in] [borrowed] The tensors.
/// - Parameter label: [in] [borrowed] The label of the new handle.
/// - Parameter out: [out] [owned] The new handle; free it with dfm_weights_free.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE or DFM_ERROR_INVALID_ARGUMENT.
@_cdecl("dfm_weights_share")
public func dfm_weights_share(
  _ weights: DFMWeightsRef?, _ label: UnsafePointer<CChar>?,
  _ out: UnsafeMutablePointer<DFMWeightsRef?>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try Handle.get(weights, as: WeightsBox.self, argument: "weights")
    let out = try required(out, "out")
    out.pointee = Handle.make(WeightsBox(sharing: box, label: try text(label, "label")))
  }
}

/// Lends a tensor of the host's: row-major, contiguous, little-endian.
///
/// The memory must stay in place until the handle, and every search made from it, is freed.
///
/// - Parameter weights: [inout] [borrowed] A handle of dfm_weights_create.
/// - Parameter name: [in] [borrowed] The tensor's name, unique in this set.
/// - Parameter dtype: [in] One of DFM_DTYPE_*.
/// - Parameter shape: [in] [borrowed] [nullable] Sizes, outermost axis first; may be NULL for rank
///   0.
/// - Parameter rank: [in] Number of axes, 0 for a scalar.
/// - Parameter data: [in] [kept] [nullable] First element, any alignment; may be NULL for a
///   tensor without elements.
/// - Parameter byte_length: [in] Exact size of the tensor in bytes.
/// - Parameter writable: [in] 1 when the library may write the memory (a target), 0 otherwise.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT
///   (sizes that do not agree, an unknown dtype) or DFM_ERROR_INVALID_STATE (an opened file).
@_cdecl("dfm_weights_add")
public func dfm_weights_add(
  _ weights: DFMWeightsRef?, _ name: UnsafePointer<CChar>?, _ dtype: Int32,
  _ shape: UnsafePointer<Int64>?, _ rank: Int64, _ data: UnsafeMutableRawPointer?,
  _ byte_length: Int64, _ writable: Int32
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try Handle.get(weights, as: WeightsBox.self, argument: "weights")
    let (name, type, sizes) = try tensorArguments(name, dtype, shape, rank)
    let size = try count(byte_length, "byte_length")
    guard data != nil || size == 0 else {
      throw DFMergeError(
        .nullPointer, "'data' of tensor '\(name)' is NULL but its length is \(size) bytes.",
        context: ["tensor": name])
    }
    guard !UInt(bitPattern: data).addingReportingOverflow(UInt(size)).overflow else {
      throw DFMergeError(
        .invalidArgument,
        "Tensor '\(name)' of \(size) bytes does not fit between its address and the end of memory; "
          + "pass a valid pointer.", context: ["tensor": name])
    }
    try box.add(
      name: name, dtype: type, shape: sizes,
      bytes: UnsafeMutableRawBufferPointer(start: data, count: data == nil ? 0 : size),
      writable: writable != 0)
  }
}

/// Lists the tensors as JSON: [{"name", "dtype", "shape", "bytes"}, ...] in the set's own order.
///
/// - Parameter weights: [in] [borrowed] The set.
/// - Parameter out: [out] [owned] The text; free it with dfm_text_free.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE or DFM_ERROR_INVALID_ARGUMENT
///   (a name that was added twice).
@_cdecl("dfm_weights_describe")
public func dfm_weights_describe(
  _ weights: DFMWeightsRef?, _ out: UnsafeMutablePointer<DFMTextRef?>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try Handle.get(weights, as: WeightsBox.self, argument: "weights")
    let tensors: [JSONValue] = try box.source().tensors.map { tensor in
      .object([
        "name": .string(tensor.name), "dtype": .string(tensor.dtype.name),
        "shape": .array(tensor.shape.dimensions.map { .int(Int64($0)) }),
        "bytes": .int(Int64(tensor.bytes.count)),
      ])
    }
    try TextBox.hand(.array(tensors), to: out)
  }
}

/// Finds the bytes of a tensor.
///
/// - Parameter weights: [in] [borrowed] The set.
/// - Parameter name: [in] [borrowed] The tensor's name.
/// - Parameter data: [out] [borrowed] First byte, to be read only unless the memory was added as
///   writable or made by dfm_weights_allocate; valid until the handle is freed. NULL may be stored
///   for a tensor without elements.
/// - Parameter byte_length: [out] Size in bytes.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT
///   (the name is not UTF-8) or DFM_ERROR_MISSING_TENSOR.
@_cdecl("dfm_weights_data")
public func dfm_weights_data(
  _ weights: DFMWeightsRef?, _ name: UnsafePointer<CChar>?,
  _ data: UnsafeMutablePointer<UnsafeRawPointer?>?, _ byte_length: UnsafeMutablePointer<Int64>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try Handle.get(weights, as: WeightsBox.self, argument: "weights")
    let name = try text(name, "name")
    let data = try required(data, "data")
    let length = try required(byte_length, "byte_length")
    guard let tensor = try box.source().tensor(named: name) else {
      throw DFMergeError(
        .missingTensor, "There is no tensor '\(name)' in \(box.label).", context: ["tensor": name])
    }
    data.pointee = tensor.bytes.baseAddress
    length.pointee = Int64(tensor.bytes.count)
  }
}

/// Frees a set of tensors. Searches made from it keep their own hold on mapped files; the host's
/// own memory must outlive them.
///
/// - Parameter weights: [in] [owned] [nullable] The set; NULL and handles already freed are
///   ignored.
@_cdecl("dfm_weights_free")
public func dfm_weights_free(_ weights: DFMWeightsRef?) {
  Handle.free(weights, as: WeightsBox.self)
}
