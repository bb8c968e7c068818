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

/// Lists the settings of a merge as JSON: name, type, default, summary and limits of each.
///
/// - Parameter out: [out] [owned] The text; free it with dfm_text_free.
/// - Returns: DFM_OK or DFM_ERROR_NULL_POINTER.
@_cdecl("dfm_merge_settings_describe")
public func dfm_merge_settings_describe(
  _ out: UnsafeMutablePointer<DFMTextRef?>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    try TextBox.hand(.array(MergeSettings.schema.map(\.json)), to: out)
  }
}

/// Says what a merge will do, without doing it: JSON with the tensors merged, copied, left out and
/// refused, every mismatch with what can be done about it, threads, peak memory, bytes to read and
/// to write, estimated seconds, and all of it as text for people.
///
/// Members: "possible", "replaces" (the path has weights already), "method", "tensors" (an object:
/// "merged", "copied", "left_out", "refused"), "added" (what the method writes beside the tensors of
/// the inputs: "name", "dtype", "shape"), "parameters", "notes" and "problems" (lists of
/// "kind", "tensor", "text"), "remedies", "threads", "passes", "peak_memory", "bytes_read",
/// "file_bytes_read", "bytes_written", "seconds", "bytes_per_second", "reshaped" (the shapes of tensors
/// of the result that the method changes, by name), "ties" (the tensors of the result that have the
/// values of another one: its name, by theirs), and "text" for people.
///
/// Reads headers and compares names; beside that about a tenth of a second goes into measuring how
/// fast this machine is. A plan with refused tensors is a result, not an error.
///
/// - Parameter method: [in] [borrowed] A method's id, as listed by dfm_methods_describe.
/// - Parameter options: [in] [borrowed] [nullable] JSON object with the method's options.
/// - Parameter settings: [in] [borrowed] [nullable] JSON object, see dfm_merge_settings_describe.
/// - Parameter base: [in] [borrowed] [nullable] The pretrained model.
/// - Parameter models: [in] [borrowed] Array of n_models sets, the fine-tuned models.
/// - Parameter n_models: [in] Number of models, 1 or more.
/// - Parameter fishers: [in] [borrowed] [nullable] Array of n_models sets of Fisher values or Gram
///   matrices, see dfm_merge.
/// - Parameter target: [in] [borrowed] [nullable] The memory that the merge would write.
/// - Parameter path: [in] [borrowed] [nullable] The file or folder that the merge would write; with
///   neither a target nor a path, the plan is for a result laid out like the base.
/// - Parameter out: [out] [owned] The text; free it with dfm_text_free.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT,
///   DFM_ERROR_UNKNOWN_NAME, DFM_ERROR_INVALID_OPTION, DFM_ERROR_INVALID_JSON or
///   DFM_ERROR_OUT_OF_MEMORY (the setting max_memory is too small).
@_cdecl("dfm_merge_plan")
public func dfm_merge_plan(
  _ method: UnsafePointer<CChar>?, _ options: UnsafePointer<CChar>?,
  _ settings: UnsafePointer<CChar>?, _ base: DFMWeightsRef?,
  _ models: UnsafePointer<DFMWeightsRef?>?, _ n_models: Int64,
  _ fishers: UnsafePointer<DFMWeightsRef?>?, _ target: DFMWeightsRef?,
  _ path: UnsafePointer<CChar>?, _ out: UnsafeMutablePointer<DFMTextRef?>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let merge = try makeMerge(method, options, settings, base, models, n_models, fishers)
    let place = try destination(target, path)
    try TextBox.hand(try merge.plan(to: place).json, to: out)
  }
}

/// Merges models into the host's memory, or into a file or folder.
///
/// Each tensor of the output is computed (F64, F32, F16, BF16) or copied from the base, or from the
/// first model where there is no base (every other type). Arithmetic is in double, rounded once to
/// the output's type; inputs may have other floating-point types. Cost: every input is read once
/// (more often for methods that need figures of whole models), every output written once; memory
/// beyond inputs and outputs in memory is a few MiB per thread whatever the model's size, within
/// the setting max_memory. Files are complete afterwards or as they were before. After an error
/// memory may be partly written, unless the error was found before the arithmetic (every argument,
/// name, shape and dtype error is).
///
/// - Parameter method: [in] [borrowed] A method's id, as listed by dfm_methods_describe.
/// - Parameter options: [in] [borrowed] [nullable] JSON object with the method's options; NULL for
///   defaults. Options per model take a number, a list in the models' order, or an object by label.
/// - Parameter settings: [in] [borrowed] [nullable] JSON object with threads, max_memory, dtype and
///   what to do about mismatches, see dfm_merge_settings_describe; NULL for defaults.
/// - Parameter base: [in] [borrowed] [nullable] The pretrained model, for methods that need it.
/// - Parameter models: [in] [borrowed] Array of n_models sets, the fine-tuned models.
/// - Parameter n_models: [in] Number of models, 1 or more.
/// - Parameter fishers: [in] [borrowed] [nullable] Array of n_models sets with the diagonal Fisher
///   values of each model, for methods that need them: same names and shapes as the models'
///   tensors, any floating-point type, 0 or more. For a method whose "model_data" is "gram", the
///   Gram matrices of linear layers' inputs instead, by the names of their weights: [i, i] for a
///   weight [o, i], or the diagonal [i]. A tensor that is missing from every set is merged without.
/// - Parameter target: [inout] [borrowed] [nullable] The memory to write; must not share memory
///   with the inputs. NULL where path is given.
/// - Parameter path: [in] [borrowed] [nullable] What to write: a path that ends in ".safetensors"
///   is a file, any other a folder. NULL where target is given.
/// - Parameter progress: [in] [nullable] Hears of bytes of the result, once for every pass
///   over the inputs, done and in all, phase "merge", on the
///   calling thread, at most about fifty times a second; any other answer than 0 stops the merge.
///   Files that are complete are not taken back: they have their names after the last call only.
/// - Parameter user: [in] [borrowed] [nullable] Passed to progress.
/// - Parameter cancel: [in] [borrowed] [nullable] A stop flag that is polled during the merge.
/// - Parameter report: [out] [owned] [nullable] JSON: "tensors" (an object: "merged", "copied",
///   "left_out"), "left_out" (their names), "ties" (the tensors of the result that have the values of
///   another one: its name, by theirs, so that a host may store each once), "notes", "bytes_read", "bytes_written", "seconds",
///   "rounding_error" of F16 and BF16 outputs (relative, else null), "non_finite", "figures" (an
///   object of the numbers that the method found); free it with dfm_text_free.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT,
///   DFM_ERROR_UNKNOWN_NAME, DFM_ERROR_INVALID_OPTION, DFM_ERROR_INVALID_JSON,
///   DFM_ERROR_MISSING_TENSOR, DFM_ERROR_SHAPE_MISMATCH, DFM_ERROR_DTYPE_MISMATCH,
///   DFM_ERROR_NON_FINITE, DFM_ERROR_IO_FAILURE, DFM_ERROR_FILE_NOT_FOUND,
///   DFM_ERROR_OUT_OF_MEMORY, DFM_ERROR_CANCELLED or DFM_ERROR_CALLBACK_FAILED.
@_cdecl("dfm_merge")
public func dfm_merge(
  _ method: UnsafePointer<CChar>?, _ options: UnsafePointer<CChar>?,
  _ settings: UnsafePointer<CChar>?, _ base: DFMWeightsRef?,
  _ models: UnsafePointer<DFMWeightsRef?>?, _ n_models: Int64,
  _ fishers: UnsafePointer<DFMWeightsRef?>?, _ target: DFMWeightsRef?,
  _ path: UnsafePointer<CChar>?, _ progress: dfm_progress_fn?,
  _ user: UnsafeMutableRawPointer?, _ cancel: DFMCancelRef?,
  _ report: UnsafeMutablePointer<DFMTextRef?>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let merge = try makeMerge(method, options, settings, base, models, n_models, fishers)
    let flag = try CancelBox.optional(cancel)
    // A merge polls with every piece of work, far more often than a host can show or be asked.
    var nextCall = ContinuousClock.now
    let done = try merge.run(
      to: try destination(target, path),
      progress: { (done, total) throws(DFMergeError) in
        guard let progress, done == total || ContinuousClock.now >= nextCall else { return true }
        nextCall = ContinuousClock.now + .milliseconds(20)
        guard progress(user, "merge", Int64(done), Int64(total), .nan) == 0 else {
          throw DFMergeError(.callbackFailed, "The progress callback stopped the merge.")
        }
        return true
      },
      cancelled: { flag?.isRaised ?? false })
    if report != nil { try TextBox.hand(done.json, to: report) }
  }
}

private func makeMerge(
  _ method: UnsafePointer<CChar>?, _ options: UnsafePointer<CChar>?,
  _ settings: UnsafePointer<CChar>?, _ base: DFMWeightsRef?,
  _ models: UnsafePointer<DFMWeightsRef?>?, _ n_models: Int64,
  _ fishers: UnsafePointer<DFMWeightsRef?>?
) throws(DFMergeError) -> Merge {
  let handles = try items(models, n_models, "models")
  func sources(
    _ handles: [DFMWeightsRef?], _ argument: String
  ) throws(DFMergeError) -> [any WeightSource] {
    var sources: [any WeightSource] = []
    for handle in handles {
      sources.append(try Handle.get(handle, as: WeightsBox.self, argument: argument).source())
    }
    return sources
  }
  let fisherHandles =
    fishers.map { Array(UnsafeBufferPointer(start: $0, count: handles.count)) } ?? []
  return try Merge(
    try text(method, "method"), options: try parseOptions(options),
    base: base == nil
      ? nil : try Handle.get(base, as: WeightsBox.self, argument: "base").source(),
    models: try sources(handles, "models"), fishers: try sources(fisherHandles, "fishers"),
    settings: try parseOptions(settings))
}

private func destination(
  _ target: DFMWeightsRef?, _ path: UnsafePointer<CChar>?
) throws(DFMergeError) -> MergeDestination {
  switch (target, path) {
  case (nil, nil): return .none
  case (.some, nil):
    return .memory(
      try Handle.get(target, as: WeightsBox.self, argument: "target").target())
  case (nil, .some): return .path(try text(path, "path"))
  case (.some, .some):
    throw DFMergeError(
      .invalidArgument, "A merge was given both a target and a path; pass one of them.")
  }
}
