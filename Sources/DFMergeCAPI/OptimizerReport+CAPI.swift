import CDFMergeShims
import DFMerge
import DFMergeCore

/// What an optimizer expects at some points: posterior mean and standard deviation of the score,
/// noise excluded.
///
/// - Parameter optimizer: [inout] [borrowed] The optimizer.
/// - Parameter points: [in] [borrowed] n_points times n_parameters values within the parameters'
///   bounds.
/// - Parameter n_points: [in] Number of points.
/// - Parameter n_parameters: [in] Number of values of a point; must be the number of parameters.
/// - Parameter means: [out] [borrowed] Room for n_points means.
/// - Parameter sds: [out] [borrowed] Room for n_points standard deviations.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT,
///   DFM_ERROR_INVALID_STATE (nothing told yet, or after a fork), DFM_ERROR_ALL_TRIALS_FAILED or
///   DFM_ERROR_NOT_POSITIVE_DEFINITE.
@_cdecl("dfm_optimizer_predict")
public func dfm_optimizer_predict(
  _ optimizer: DFMOptimizerRef?, _ points: UnsafePointer<Double>?, _ n_points: Int64,
  _ n_parameters: Int64, _ means: UnsafeMutablePointer<Double>?,
  _ sds: UnsafeMutablePointer<Double>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try OptimizerBox.get(optimizer)
    let wanted = try box.points(points, n_points, n_parameters, "points")
    let means = try required(means, "means")
    let sds = try required(sds, "sds")
    try box.serially { study throws(DFMergeError) in
      for (index, point) in wanted.enumerated() {
        (means[index], sds[index]) = try study.predict(point)
      }
    }
  }
}

/// Why a loop over points should end: "trials", "time" (max_seconds), "target" or "improvement"
/// (stop_improvement), or the empty text to go on. Asking further is allowed all the same.
///
/// - Parameter optimizer: [inout] [borrowed] The optimizer.
/// - Parameter out: [out] [owned] The text; free it with dfm_text_free.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_STATE
///   (after a fork) or DFM_ERROR_NOT_POSITIVE_DEFINITE.
@_cdecl("dfm_optimizer_stop_reason")
public func dfm_optimizer_stop_reason(
  _ optimizer: DFMOptimizerRef?, _ out: UnsafeMutablePointer<DFMTextRef?>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try OptimizerBox.get(optimizer)
    let out = try required(out, "out")
    let reason = try box.serially { study throws(DFMergeError) in try study.stopReason() }
    out.pointee = Handle.make(TextBox(reason?.rawValue ?? ""))
  }
}

/// The chosen point as JSON: number, params, value, scores, posterior mean, sd and interval; null
/// while no trial has a score.
///
/// - Parameter optimizer: [inout] [borrowed] The optimizer.
/// - Parameter out: [out] [owned] The text; free it with dfm_text_free.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_STATE
///   (after a fork) or DFM_ERROR_NOT_POSITIVE_DEFINITE.
@_cdecl("dfm_optimizer_best")
public func dfm_optimizer_best(
  _ optimizer: DFMOptimizerRef?, _ out: UnsafeMutablePointer<DFMTextRef?>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try OptimizerBox.get(optimizer)
    _ = try required(out, "out")
    let best = try box.serially { study throws(DFMergeError) in try study.bestJSON() }
    try TextBox.hand(best, to: out)
  }
}

/// Every trial as JSON: told, running and withdrawn ones, their cost in full evaluations, and
/// warnings. No model is fitted.
///
/// - Parameter optimizer: [inout] [borrowed] The optimizer.
/// - Parameter out: [out] [owned] The text; free it with dfm_text_free.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE or DFM_ERROR_INVALID_STATE
///   (after a fork).
@_cdecl("dfm_optimizer_trials")
public func dfm_optimizer_trials(
  _ optimizer: DFMOptimizerRef?, _ out: UnsafeMutablePointer<DFMTextRef?>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try OptimizerBox.get(optimizer)
    _ = try required(out, "out")
    try TextBox.hand(try box.serially { $0.trialsJSON }, to: out)
  }
}

/// All that is known as JSON: options, parameters, tasks, trials, best, Pareto front, slices,
/// length-scales and importance of the parameters, improvement left, reason to stop, times, warnings.
///
/// - Parameter optimizer: [inout] [borrowed] The optimizer.
/// - Parameter out: [out] [owned] The text; free it with dfm_text_free.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_STATE
///   (after a fork) or DFM_ERROR_NOT_POSITIVE_DEFINITE.
@_cdecl("dfm_optimizer_result")
public func dfm_optimizer_result(
  _ optimizer: DFMOptimizerRef?, _ out: UnsafeMutablePointer<DFMTextRef?>?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let box = try OptimizerBox.get(optimizer)
    _ = try required(out, "out")
    let result = try box.serially { study throws(DFMergeError) in try study.resultJSON() }
    try TextBox.hand(result, to: out)
  }
}

/// Frees an optimizer and lets go of its journal.
///
/// - Parameter optimizer: [in] [owned] [nullable] The optimizer; NULL and handles already freed are
///   ignored.
@_cdecl("dfm_optimizer_free")
public func dfm_optimizer_free(_ optimizer: DFMOptimizerRef?) {
  Handle.free(optimizer, as: OptimizerBox.self)
}
