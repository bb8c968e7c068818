import CDFMergeShims
import DFMerge
import DFMergeCore

/// A handle of type dfm_fisher.
public typealias DFMFisherRef = OpaquePointer

/// Finds the buffer for one tensor's Fisher values, to be filled or added to.
///
/// - Parameter fisher: [inout] [borrowed] The handle that the Fisher callback was given.
/// - Parameter name: [in] [borrowed] The tensor's name in the target.
/// - Parameter values: [out] [borrowed] As many floats as the tensor has elements, preset to 0;
///   valid during the callback. They must end up finite and 0 or more.
/// - Parameter count: [out] Number of values.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT
///   (the name is not UTF-8) or DFM_ERROR_MISSING_TENSOR (not a merged tensor of the target).
@_cdecl("dfm_fisher_data")
public func dfm_fisher_data(
  _ fisher: DFMFisherRef?, _ name: UnsafePointer<CChar>?,
  _ values: UnsafeMutablePointer<UnsafeMutablePointer<Float>?>?,
  _ count: UnsafeMutablePointer<Int64>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try Handle.get(fisher, as: FisherBox.self, argument: "fisher")
    let values = try required(values, "values")
    let count = try required(count, "count")
    let buffer = try box.request.values(of: try text(name, "name"))
    values.pointee = buffer.baseAddress
    count.pointee = Int64(buffer.count)
  }
}

/// Adds weight * g * g to one tensor's Fisher values, fused, for the gradient of ONE sample.
///
/// The square of a batch's summed gradient is not a Fisher value: call this once per sample.
///
/// - Parameter fisher: [inout] [borrowed] The handle that the Fisher callback was given.
/// - Parameter name: [in] [borrowed] The tensor's name in the target.
/// - Parameter dtype: [in] Type of the gradient: DFM_DTYPE_F64, F32, F16 or BF16.
/// - Parameter gradient: [in] [borrowed] [nullable] Contiguous elements; may be NULL for a tensor
///   without elements.
/// - Parameter count: [in] Number of elements; must be the tensor's.
/// - Parameter weight: [in] Weight of the sample, finite and 0 or more; 1/n for a mean over n
///   samples.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT,
///   DFM_ERROR_MISSING_TENSOR, DFM_ERROR_SHAPE_MISMATCH, DFM_ERROR_DTYPE_MISMATCH or
///   DFM_ERROR_NON_FINITE (the weight).
@_cdecl("dfm_fisher_accumulate")
public func dfm_fisher_accumulate(
  _ fisher: DFMFisherRef?, _ name: UnsafePointer<CChar>?, _ dtype: Int32,
  _ gradient: UnsafeRawPointer?, _ count: Int64, _ weight: Double
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try Handle.get(fisher, as: FisherBox.self, argument: "fisher")
    let name = try text(name, "name")
    guard let type = DType(rawValue: dtype), type.isMergeable else {
      throw DFMergeError(
        .dtypeMismatch,
        "The gradient of '\(name)' has dtype number \(dtype); pass F64, F32, F16 or BF16.",
        context: ["tensor": name])
    }
    let shape = try Shape([Int(count)])
    guard let bytes = type.byteCount(elements: shape.elementCount) else {
      throw DFMergeError(
        .invalidArgument,
        "A gradient of \(count) elements is too "
          + "large.", context: ["tensor": name])
    }
    guard gradient != nil || bytes == 0 else {
      throw DFMergeError(
        .nullPointer, "'gradient' of tensor '\(name)' is NULL; pass \(count) elements.",
        context: ["tensor": name])
    }
    try box.request.accumulate(
      try TensorView(
        name: name, dtype: type, shape: shape,
        bytes: UnsafeRawBufferPointer(start: gradient, count: gradient == nil ? 0 : bytes)),
      weight: weight)
  }
}
