import CDFMergeShims
import DFMerge
import DFMergeCore
import DFMergeEngine
import DFMergeMethods

/// Lists every merging method as JSON: id, title, formula, summary, source, needs, options.
///
/// - Parameter out: [out] [owned] The text; free it with dfm_text_free.
/// - Returns: DFM_OK or DFM_ERROR_NULL_POINTER.
@_cdecl("dfm_methods_describe")
public func dfm_methods_describe(_ out: UnsafeMutablePointer<DFMTextRef?>?) -> dfm_status {
  guarded { () throws(DFMergeError) in try TextBox.hand(MethodRegistry.json, to: out) }
}

/// Merges models into the host's memory.
///
/// Each tensor of the target is computed (F64, F32, F16, BF16) or copied from the base, or from the
/// first model where there is no base (every other type). Arithmetic is in double, rounded once to
/// the target's type. Inputs of another floating-point type than the target's are fine. Cost:
/// every input is read once and the target written once; extra memory is a few tiles per thread.
/// After an error the target may be partly written, unless the error was found before the
/// arithmetic (every argument, name, shape and dtype error is).
///
/// - Parameter method: [in] [borrowed] A method's id, as listed by dfm_methods_describe.
/// - Parameter options: [in] [borrowed] [nullable] JSON object with the method's options; NULL for
///   defaults. Options per model take a number, a list in the models' order, or an object by label.
/// - Parameter base: [in] [borrowed] [nullable] The pretrained model, for methods that need it.
/// - Parameter models: [in] [borrowed] Array of n_models sets, the fine-tuned models.
/// - Parameter n_models: [in] Number of models, 1 or more.
/// - Parameter fishers: [in] [borrowed] [nullable] Array of n_models sets with the diagonal Fisher
///   values of each model, for methods that need them: same names and shapes as the target's
///   tensors, any floating-point type, 0 or more. A tensor that is missing from every set is
///   merged without.
/// - Parameter target: [inout] [borrowed] The memory to write; must not share memory with the
///   inputs.
/// - Parameter threads: [in] Number of threads; 0 is one per available core. Changes no result.
/// - Parameter cancel: [in] [borrowed] [nullable] A stop flag that is polled between tiles.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT,
///   DFM_ERROR_UNKNOWN_NAME, DFM_ERROR_INVALID_OPTION, DFM_ERROR_MISSING_TENSOR,
///   DFM_ERROR_SHAPE_MISMATCH, DFM_ERROR_DTYPE_MISMATCH, DFM_ERROR_NON_FINITE or
///   DFM_ERROR_CANCELLED.
@_cdecl("dfm_merge")
public func dfm_merge(
  _ method: UnsafePointer<CChar>?, _ options: UnsafePointer<CChar>?, _ base: DFMWeightsRef?,
  _ models: UnsafePointer<DFMWeightsRef?>?, _ n_models: Int64,
  _ fishers: UnsafePointer<DFMWeightsRef?>?, _ target: DFMWeightsRef?, _ threads: Int32,
  _ cancel: DFMCancelRef?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let handles = try items(models, n_models, "models")
    var sources: [any WeightSource] = []
    for handle in handles {
      sources.append(
        try Handle.get(handle, as: WeightsBox.self, argument: "models").source())
    }
    var fisherSources: [any WeightSource] = []
    if let fishers {
      for handle in UnsafeBufferPointer(start: fishers, count: handles.count) {
        fisherSources.append(
          try Handle.get(handle, as: WeightsBox.self, argument: "fishers").source())
      }
    }
    let baseSource =
      base == nil
      ? nil : try Handle.get(base, as: WeightsBox.self, argument: "base").source()
    let flag = try CancelBox.optional(cancel)
    try InMemoryMerge.run(
      method: try text(method, "method"), options: try parseOptions(options),
      base: baseSource, models: sources, fishers: fisherSources,
      target: try Handle.get(target, as: WeightsBox.self, argument: "target").target(),
      threads: Int(threads), cancelled: { flag?.isRaised ?? false })
  }
}
