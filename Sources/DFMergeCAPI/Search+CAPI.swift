import CDFMergeShims
import DFMerge
import DFMergeCore

/// A handle of type dfm_search.
public typealias DFMSearchRef = OpaquePointer

/// Lists the options of a search as JSON: name, type, range, default, summary.
///
/// - Parameter out: [out] [owned] The text; free it with dfm_text_free.
/// - Returns: DFM_OK or DFM_ERROR_NULL_POINTER.
@_cdecl("dfm_search_options_describe")
public func dfm_search_options_describe(
  _ out: UnsafeMutablePointer<DFMTextRef?>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in try TextBox.hand(SearchOptions.schemaJSON, to: out) }
}

/// Makes a search and checks everything that can be checked before it runs.
///
/// - Parameter options: [in] [borrowed] [nullable] JSON object, see dfm_search_options_describe;
///   NULL for defaults.
/// - Parameter base: [in] [borrowed] The pretrained model.
/// - Parameter models: [in] [borrowed] Array of n_models sets, the fine-tuned models; their labels
///   are the models' names and must be distinct.
/// - Parameter n_models: [in] Number of models, 1 or more.
/// - Parameter target: [inout] [borrowed] The host's parameter memory: every candidate is written
///   here. It must not share memory with base and models.
/// - Parameter cancel: [in] [borrowed] [nullable] A stop flag that is polled between tiles and
///   trials.
/// - Parameter out: [out] [owned] The new handle; free it with dfm_search_free.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT,
///   DFM_ERROR_INVALID_JSON, DFM_ERROR_UNKNOWN_NAME, DFM_ERROR_INVALID_OPTION,
///   DFM_ERROR_MISSING_TENSOR, DFM_ERROR_SHAPE_MISMATCH or DFM_ERROR_DTYPE_MISMATCH.
@_cdecl("dfm_search_create")
public func dfm_search_create(
  _ options: UnsafePointer<CChar>?, _ base: DFMWeightsRef?,
  _ models: UnsafePointer<DFMWeightsRef?>?, _ n_models: Int64, _ target: DFMWeightsRef?,
  _ cancel: DFMCancelRef?, _ out: UnsafeMutablePointer<DFMSearchRef?>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let out = try required(out, "out")
    var sources: [(name: String, weights: any WeightSource)] = []
    for handle in try items(models, n_models, "models") {
      let box = try Handle.get(handle, as: WeightsBox.self, argument: "models")
      sources.append((box.label, try box.source()))
    }
    let flag = try CancelBox.optional(cancel)
    let search = try Search(
      target: try Handle.get(target, as: WeightsBox.self, argument: "target").target(),
      base: try Handle.get(base, as: WeightsBox.self, argument: "base").source(),
      models: sources, options: try parseOptions(options),
      cancelled: { flag?.isRaised ?? false })
    out.pointee = Handle.make(SearchBox(search))
  }
}

/// Sets the callback that scores a candidate.
///
/// - Parameter search: [inout] [borrowed] The search.
/// - Parameter callback: [in] [kept] The function; called on the thread that calls dfm_search_run.
/// - Parameter user: [in] [kept] [nullable] Passed to the callback.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE or DFM_ERROR_INVALID_STATE.
@_cdecl("dfm_search_set_evaluate")
public func dfm_search_set_evaluate(
  _ search: DFMSearchRef?, _ callback: dfm_evaluate_fn?, _ user: UnsafeMutableRawPointer?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try Handle.get(search, as: SearchBox.self, argument: "search")
    let callback = try required(callback, "callback")
    try box.exclusively { () throws(DFMergeError) in box.host.evaluateCallback = (callback, user) }
  }
}

/// Sets the callback that scores a candidate on a fixed subset, for the option subset_share. The
/// callback of dfm_search_set_evaluate then follows only where the whole evaluation is worth its
/// cost, and tells the scores of all of it, the subset included.
///
/// - Parameter search: [inout] [borrowed] The search.
/// - Parameter callback: [in] [kept] The function; called on the thread that calls dfm_search_run.
/// - Parameter user: [in] [kept] [nullable] Passed to the callback.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE or DFM_ERROR_INVALID_STATE
///   (also without the option subset_share).
@_cdecl("dfm_search_set_evaluate_subset")
public func dfm_search_set_evaluate_subset(
  _ search: DFMSearchRef?, _ callback: dfm_evaluate_fn?, _ user: UnsafeMutableRawPointer?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try Handle.get(search, as: SearchBox.self, argument: "search")
    let callback = try required(callback, "callback")
    try box.exclusively { () throws(DFMergeError) in try box.setSubset(callback, user) }
  }
}

/// Sets the callback that measures Fisher values. Not needed with the option fisher = "none".
///
/// - Parameter search: [inout] [borrowed] The search.
/// - Parameter callback: [in] [kept] The function; called on the thread that calls dfm_search_run or
///   dfm_search_apply.
/// - Parameter user: [in] [kept] [nullable] Passed to the callback.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE or DFM_ERROR_INVALID_STATE.
@_cdecl("dfm_search_set_fisher")
public func dfm_search_set_fisher(
  _ search: DFMSearchRef?, _ callback: dfm_fisher_fn?, _ user: UnsafeMutableRawPointer?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try Handle.get(search, as: SearchBox.self, argument: "search")
    let callback = try required(callback, "callback")
    try box.exclusively { () throws(DFMergeError) in box.host.fisherCallback = (callback, user) }
  }
}

/// Sets the callback that hears of progress. Optional.
///
/// - Parameter search: [inout] [borrowed] The search.
/// - Parameter callback: [in] [kept] The function; called on the thread that calls dfm_search_run.
/// - Parameter user: [in] [kept] [nullable] Passed to the callback.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE or DFM_ERROR_INVALID_STATE.
@_cdecl("dfm_search_set_progress")
public func dfm_search_set_progress(
  _ search: DFMSearchRef?, _ callback: dfm_progress_fn?, _ user: UnsafeMutableRawPointer?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try Handle.get(search, as: SearchBox.self, argument: "search")
    let callback = try required(callback, "callback")
    try box.exclusively { () throws(DFMergeError) in box.host.progressCallback = (callback, user) }
  }
}

/// Describes a search as JSON: models, tasks, groups of tensors (name, patterns, number of tensors
/// and elements), number of coefficients, dimension, options, warnings.
///
/// - Parameter search: [in] [borrowed] The search.
/// - Parameter out: [out] [owned] The text; free it with dfm_text_free.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE or DFM_ERROR_INVALID_STATE.
@_cdecl("dfm_search_describe")
public func dfm_search_describe(
  _ search: DFMSearchRef?, _ out: UnsafeMutablePointer<DFMTextRef?>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try Handle.get(search, as: SearchBox.self, argument: "search")
    try box.exclusively { () throws(DFMergeError) in
      try TextBox.hand(box.search.descriptionJSON, to: out)
    }
  }
}

/// Runs a search until its budget is used up or another of its options ends it, and leaves the best
/// candidate in the target's memory.
///
/// Every callback runs on the calling thread. A run that was stopped, by a callback, by the stop
/// flag or by a kill, is continued by a new search with the same settings and the same journal.
///
/// - Parameter search: [inout] [borrowed] The search.
/// - Parameter journal: [in] [borrowed] [nullable] Path of the journal, made or continued; NULL
///   for none.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT
///   (the path is not UTF-8), DFM_ERROR_INVALID_STATE (no callback, or a call from inside one),
///   DFM_ERROR_IO_FAILURE, DFM_ERROR_FILE_LOCKED, DFM_ERROR_JOURNAL_DAMAGED,
///   DFM_ERROR_JOURNAL_MISMATCH, DFM_ERROR_ALL_TRIALS_FAILED, DFM_ERROR_CANCELLED or
///   DFM_ERROR_CALLBACK_FAILED.
@_cdecl("dfm_search_run")
public func dfm_search_run(
  _ search: DFMSearchRef?, _ journal: UnsafePointer<CChar>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try Handle.get(search, as: SearchBox.self, argument: "search")
    let path = journal == nil ? nil : try text(journal, "journal")
    try box.exclusively { () throws(DFMergeError) in
      box.result = nil
      box.result = try box.search.run(journal: path, host: box.host)
    }
  }
}

/// The result of a run as JSON: options, trials, best, why it ended, margin over baselines, Pareto
/// front of the tasks, slices, length-scales, importance, times, warnings; of a greedy soup (option
/// strategy) its models and what was decided of each.
/// After a run that was stopped: the best of the trials that were finished.
///
/// - Parameter search: [in] [borrowed] The search.
/// - Parameter out: [out] [owned] The text; free it with dfm_text_free.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_STATE or
///   DFM_ERROR_ALL_TRIALS_FAILED (no complete trial).
@_cdecl("dfm_search_result")
public func dfm_search_result(
  _ search: DFMSearchRef?, _ out: UnsafeMutablePointer<DFMTextRef?>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try Handle.get(search, as: SearchBox.self, argument: "search")
    try box.exclusively { () throws(DFMergeError) in
      if box.result == nil { box.result = try box.search.currentResult() }
      try TextBox.hand(box.result?.json ?? .null, to: out)
    }
  }
}

/// Writes a candidate into the target's memory, measuring Fisher values through the callback where
/// they are needed and not yet known.
///
/// - Parameter search: [inout] [borrowed] The search.
/// - Parameter coefficients: [in] [borrowed] Array of one coefficient per model; with the
///   option groups one per model and group, all groups of the first model first.
/// - Parameter n_coefficients: [in] Its length.
/// - Parameter exponent: [in] Power of the Fisher weights, 0 to 1.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT,
///   DFM_ERROR_INVALID_STATE, DFM_ERROR_NON_FINITE, DFM_ERROR_CANCELLED or
///   DFM_ERROR_CALLBACK_FAILED.
@_cdecl("dfm_search_apply")
public func dfm_search_apply(
  _ search: DFMSearchRef?, _ coefficients: UnsafePointer<Double>?, _ n_coefficients: Int64,
  _ exponent: Double
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try Handle.get(search, as: SearchBox.self, argument: "search")
    let values = try items(coefficients, n_coefficients, "coefficients")
    try box.exclusively { () throws(DFMergeError) in
      try box.search.apply(
        Candidate(coefficients: values, exponent: exponent), host: box.host)
    }
  }
}

/// Frees a search.
///
/// - Parameter search: [in] [owned] [nullable] The search; NULL and handles already freed are
///   ignored.
@_cdecl("dfm_search_free")
public func dfm_search_free(_ search: DFMSearchRef?) {
  Handle.free(search, as: SearchBox.self)
}
