import CDFMergeShims
import DFMerge
import DFMergeCore

/// A handle of type dfm_optimizer.
public typealias DFMOptimizerRef = OpaquePointer

/// Lists the options of an optimizer as JSON: name, type, range, default, summary.
///
/// - Parameter out: [out] [owned] The text; free it with dfm_text_free.
/// - Returns: DFM_OK or DFM_ERROR_NULL_POINTER.
@_cdecl("dfm_optimizer_options_describe")
public func dfm_optimizer_options_describe(
  _ out: UnsafeMutablePointer<DFMTextRef?>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in try TextBox.hand(StudyOptions.schemaJSON, to: out) }
}

/// Makes a Bayesian optimizer over named parameters: ask it for points, tell it their scores.
///
/// Unlike other handles, an optimizer may be used by several threads at once: its calls are carried
/// out one after the other. A child of a fork is refused with DFM_ERROR_INVALID_STATE.
///
/// - Parameter options: [in] [borrowed] JSON object with "parameters", a list of
///   {"name", "low", "high"}; the rest as in dfm_optimizer_options_describe.
/// - Parameter journal: [in] [borrowed] [nullable] Path of the journal, made or continued; NULL for
///   none. It is locked until the optimizer is freed.
/// - Parameter out: [out] [owned] The new handle; free it with dfm_optimizer_free.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_INVALID_ARGUMENT, DFM_ERROR_INVALID_JSON,
///   DFM_ERROR_UNKNOWN_NAME, DFM_ERROR_INVALID_OPTION, DFM_ERROR_IO_FAILURE,
///   DFM_ERROR_FILE_LOCKED, DFM_ERROR_JOURNAL_DAMAGED or DFM_ERROR_JOURNAL_MISMATCH.
@_cdecl("dfm_optimizer_create")
public func dfm_optimizer_create(
  _ options: UnsafePointer<CChar>?, _ journal: UnsafePointer<CChar>?,
  _ out: UnsafeMutablePointer<DFMOptimizerRef?>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let out = try required(out, "out")
    _ = try required(options, "options")
    let study = try Study(
      options: try parseOptions(options),
      journal: journal == nil ? nil : try text(journal, "journal"))
    out.pointee = Handle.make(OptimizerBox(study))
  }
}

/// Asks for points to evaluate side by side. They stay out until they are told or withdrawn, and
/// later points are chosen with those that are out taken as evaluated.
///
/// - Parameter optimizer: [inout] [borrowed] The optimizer.
/// - Parameter n: [in] How many, 1 to 10000.
/// - Parameter points: [out] [borrowed] Room for n times as many values as there are parameters:
///   the values of each point, in the order of the parameters, one point after the other.
/// - Parameter numbers: [out] [borrowed] Room for n numbers, by which the points are told.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT,
///   DFM_ERROR_INVALID_STATE (after a fork, or after the journal could not be written),
///   DFM_ERROR_IO_FAILURE or DFM_ERROR_NOT_POSITIVE_DEFINITE.
@_cdecl("dfm_optimizer_ask")
public func dfm_optimizer_ask(
  _ optimizer: DFMOptimizerRef?, _ n: Int64, _ points: UnsafeMutablePointer<Double>?,
  _ numbers: UnsafeMutablePointer<Int64>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try OptimizerBox.get(optimizer)
    let asked = try count(n, "n")
    let points = try required(points, "points")
    let numbers = try required(numbers, "numbers")
    let trials = try box.serially { study throws(DFMergeError) in try study.ask(asked) }
    for (index, trial) in trials.enumerated() {
      numbers[index] = Int64(trial.number)
      for (place, value) in trial.values.enumerated() {
        points[index * box.dimension + place] = value
      }
    }
  }
}

/// Tells the scores of a point that was asked for. One that was withdrawn is welcome too.
///
/// - Parameter optimizer: [inout] [borrowed] The optimizer.
/// - Parameter number: [in] The number that dfm_optimizer_ask gave.
/// - Parameter scores: [in] [borrowed] One score per task, larger is better; one that is not finite
///   marks the trial as failed.
/// - Parameter variances: [in] [borrowed] [nullable] Noise variance of each score, NaN where it is
///   not known; NULL for none known.
/// - Parameter n_tasks: [in] Number of scores; must be the number of tasks.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT,
///   DFM_ERROR_INVALID_STATE (told already, after a fork, or after the journal could not be
///   written) or DFM_ERROR_IO_FAILURE.
@_cdecl("dfm_optimizer_tell")
public func dfm_optimizer_tell(
  _ optimizer: DFMOptimizerRef?, _ number: Int64, _ scores: UnsafePointer<Double>?,
  _ variances: UnsafePointer<Double>?, _ n_tasks: Int64
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try OptimizerBox.get(optimizer)
    let number = try count(number, "number")
    let told = try box.scores(scores, variances, n_tasks)
    try box.serially { study throws(DFMergeError) in try study.tell(number, scores: told) }
  }
}

/// Tells the scores of a first stage, on a fixed subset of the evaluation, and learns whether the
/// rest is worth its cost. Needs the option subset_share.
///
/// - Parameter optimizer: [inout] [borrowed] The optimizer.
/// - Parameter number: [in] The number that dfm_optimizer_ask gave.
/// - Parameter scores: [in] [borrowed] One score per task, on the subset; one that is not finite
///   marks the trial as failed.
/// - Parameter n_tasks: [in] Number of scores; must be the number of tasks.
/// - Parameter worth: [out] 1: evaluate the rest and tell the full scores. 0: the trial is settled.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT,
///   DFM_ERROR_INVALID_STATE (no subset_share, not out, told already, after a fork, or after the
///   journal could not be written), DFM_ERROR_IO_FAILURE or DFM_ERROR_NOT_POSITIVE_DEFINITE.
@_cdecl("dfm_optimizer_tell_subset")
public func dfm_optimizer_tell_subset(
  _ optimizer: DFMOptimizerRef?, _ number: Int64, _ scores: UnsafePointer<Double>?,
  _ n_tasks: Int64, _ worth: UnsafeMutablePointer<Int32>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try OptimizerBox.get(optimizer)
    let number = try count(number, "number")
    let worth = try required(worth, "worth")
    let told = try box.scores(scores, nil, n_tasks)
    let isWorthMore = try box.serially { study throws(DFMergeError) in
      try study.tellSubset(number, scores: told)
    }
    worth.pointee = isWorthMore ? 1 : 0
  }
}

/// Tells that the evaluation of a point failed: it counts as the lowest score told.
///
/// - Parameter optimizer: [inout] [borrowed] The optimizer.
/// - Parameter number: [in] The number that dfm_optimizer_ask gave.
/// - Parameter reason: [in] [borrowed] [nullable] Why, for the record; NULL for none.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT,
///   DFM_ERROR_INVALID_STATE or DFM_ERROR_IO_FAILURE, as dfm_optimizer_tell.
@_cdecl("dfm_optimizer_tell_failed")
public func dfm_optimizer_tell_failed(
  _ optimizer: DFMOptimizerRef?, _ number: Int64, _ reason: UnsafePointer<CChar>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try OptimizerBox.get(optimizer)
    let number = try count(number, "number")
    let why = reason == nil ? nil : try text(reason, "reason")
    try box.serially { study throws(DFMergeError) in try study.tellFailed(number, reason: why) }
  }
}

/// Takes back a point that is out: its worker died. It may be given to another worker, under
/// another number.
///
/// - Parameter optimizer: [inout] [borrowed] The optimizer.
/// - Parameter number: [in] The number that dfm_optimizer_ask gave.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT,
///   DFM_ERROR_INVALID_STATE (not out) or DFM_ERROR_IO_FAILURE.
@_cdecl("dfm_optimizer_withdraw")
public func dfm_optimizer_withdraw(_ optimizer: DFMOptimizerRef?, _ number: Int64) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try OptimizerBox.get(optimizer)
    let number = try count(number, "number")
    try box.serially { study throws(DFMergeError) in try study.withdraw(number) }
  }
}

/// Gives points that are to be asked for before anything else, in this order.
///
/// - Parameter optimizer: [inout] [borrowed] The optimizer.
/// - Parameter points: [in] [borrowed] n_points times n_parameters values within the parameters'
///   bounds, one point after the other.
/// - Parameter n_points: [in] Number of points.
/// - Parameter n_parameters: [in] Number of values of a point; must be the number of parameters.
/// - Parameter repeats: [in] 0 skips points that are told or out already; anything else does not.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT,
///   DFM_ERROR_INVALID_STATE or DFM_ERROR_IO_FAILURE.
@_cdecl("dfm_optimizer_enqueue")
public func dfm_optimizer_enqueue(
  _ optimizer: DFMOptimizerRef?, _ points: UnsafePointer<Double>?, _ n_points: Int64,
  _ n_parameters: Int64, _ repeats: Int32
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try OptimizerBox.get(optimizer)
    let queued = try box.points(points, n_points, n_parameters, "points")
    try box.serially { study throws(DFMergeError) in
      try study.enqueue(queued, repeats: repeats != 0)
    }
  }
}

/// Adds what is known of a point from elsewhere: another run, a baseline. It counts as a trial.
///
/// - Parameter optimizer: [inout] [borrowed] The optimizer.
/// - Parameter point: [in] [borrowed] The values of the parameters, within their bounds.
/// - Parameter n_parameters: [in] Their number.
/// - Parameter scores: [in] [borrowed] One finite score per task.
/// - Parameter variances: [in] [borrowed] [nullable] As in dfm_optimizer_tell.
/// - Parameter n_tasks: [in] Number of scores; must be the number of tasks.
/// - Parameter number: [out] [nullable] The number of the trial; NULL where it is of no interest.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT,
///   DFM_ERROR_NON_FINITE, DFM_ERROR_INVALID_STATE or DFM_ERROR_IO_FAILURE.
@_cdecl("dfm_optimizer_observe")
public func dfm_optimizer_observe(
  _ optimizer: DFMOptimizerRef?, _ point: UnsafePointer<Double>?, _ n_parameters: Int64,
  _ scores: UnsafePointer<Double>?, _ variances: UnsafePointer<Double>?, _ n_tasks: Int64,
  _ number: UnsafeMutablePointer<Int64>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try OptimizerBox.get(optimizer)
    let values = try box.points(point, 1, n_parameters, "point")
    let told = try box.scores(scores, variances, n_tasks)
    let recorded = try box.serially { study throws(DFMergeError) in
      try study.observe(values.first ?? [], scores: told)
    }
    number?.pointee = Int64(recorded)
  }
}
