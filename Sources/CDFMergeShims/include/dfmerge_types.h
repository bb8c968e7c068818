#ifndef DFMERGE_TYPES_H
#define DFMERGE_TYPES_H

#include <stdint.h>

/* Opaque handles. Each is made by one function and freed by the matching dfm_<noun>_free, which
 * accepts NULL. A handle is used by one thread at a time, but for dfm_optimizer and dfm_cancel. */

/** A text that the library hands out: read with dfm_text_data, freed with dfm_text_free. */
typedef struct dfm_text dfm_text;
/** Named tensors: a checkpoint on disk, or tensors borrowed from the host. */
typedef struct dfm_weights dfm_weights;
/** A stop flag that any thread may raise. */
typedef struct dfm_cancel dfm_cancel;
/** A DF-Merge search. */
typedef struct dfm_search dfm_search;
/** A Bayesian optimizer over named parameters, by ask and tell; any number of threads may use it. */
typedef struct dfm_optimizer dfm_optimizer;
/** The Fisher values that a Fisher callback is asked for; valid during that callback only. */
typedef struct dfm_fisher dfm_fisher;

/** 0, or one of DFM_ERROR_*; the message is dfm_last_error_message(). */
typedef int32_t dfm_status;

/** Status numbers. Pinned; grouped by hundreds: 1xx argument, 2xx input/output, 3xx file format,
 * 4xx numerical, 5xx resource, 6xx stopped, 9xx internal. */
enum {
    DFM_OK = 0,
    DFM_ERROR_INVALID_ARGUMENT = 100,
    DFM_ERROR_NULL_POINTER = 101,
    DFM_ERROR_WRONG_HANDLE = 102,
    DFM_ERROR_SHAPE_MISMATCH = 103,
    DFM_ERROR_DTYPE_MISMATCH = 104,
    DFM_ERROR_MISSING_TENSOR = 105,
    DFM_ERROR_UNKNOWN_NAME = 106,
    DFM_ERROR_INVALID_OPTION = 107,
    DFM_ERROR_INVALID_STATE = 108,
    DFM_ERROR_IO_FAILURE = 200,
    DFM_ERROR_FILE_NOT_FOUND = 201,
    DFM_ERROR_FILE_LOCKED = 202,
    DFM_ERROR_INVALID_FORMAT = 300,
    DFM_ERROR_INVALID_JSON = 301,
    DFM_ERROR_JOURNAL_DAMAGED = 302,
    DFM_ERROR_JOURNAL_MISMATCH = 303,
    DFM_ERROR_UNSUPPORTED = 304,
    DFM_ERROR_NON_FINITE = 400,
    DFM_ERROR_NOT_POSITIVE_DEFINITE = 401,
    DFM_ERROR_ALL_TRIALS_FAILED = 402,
    DFM_ERROR_OUT_OF_MEMORY = 500,
    DFM_ERROR_THREAD_FAILURE = 501,
    DFM_ERROR_CANCELLED = 600,
    DFM_ERROR_CALLBACK_FAILED = 601,
    DFM_ERROR_INTERNAL_ERROR = 900
};

/** Element types. F64, F32, F16 and BF16 are merged; every other type is copied. */
enum {
    DFM_DTYPE_F64 = 1,
    DFM_DTYPE_F32 = 2,
    DFM_DTYPE_F16 = 3,
    DFM_DTYPE_BF16 = 4,
    DFM_DTYPE_I64 = 10,
    DFM_DTYPE_I32 = 11,
    DFM_DTYPE_I16 = 12,
    DFM_DTYPE_I8 = 13,
    DFM_DTYPE_U64 = 14,
    DFM_DTYPE_U32 = 15,
    DFM_DTYPE_U16 = 16,
    DFM_DTYPE_U8 = 17,
    DFM_DTYPE_BOOL = 18,
    DFM_DTYPE_C64 = 20,
    DFM_DTYPE_F8_E4M3 = 30,
    DFM_DTYPE_F8_E5M2 = 31,
    DFM_DTYPE_F8_E8M0 = 32,
    DFM_DTYPE_F8_E4M3FNUZ = 33,
    DFM_DTYPE_F8_E5M2FNUZ = 34,
    DFM_DTYPE_F6_E2M3 = 40,
    DFM_DTYPE_F6_E3M2 = 41,
    DFM_DTYPE_F4 = 42
};

/** Answers of a callback. */
enum {
    /** Go on. */
    DFM_CALLBACK_OK = 0,
    /** Evaluation callback only: this trial failed; the search records that and goes on. */
    DFM_CALLBACK_TRIAL_FAILED = 1,
    /** Stop the run: the call that runs the callbacks returns DFM_ERROR_CALLBACK_FAILED. */
    DFM_CALLBACK_STOP = -1
};

/** Scores the candidate that has just been written into the host's memory.
 * trial: its number from 0. coefficients: n_coefficients of them, one per model, or with the
 * option groups one per model and group, all groups of the first model first.
 * scores: [out] one per task, n_tasks of them, larger is better.
 * variances: [out] variance of each score; preset to NaN, which means unknown.
 * Returns one of DFM_CALLBACK_*. A score left NaN, or set infinite, marks the trial as failed. */
typedef int32_t (*dfm_evaluate_fn)(void *user, int64_t trial, const double *coefficients,
                                   int64_t n_coefficients, double *scores, double *variances,
                                   int64_t n_tasks);

/** Measures the diagonal Fisher of model `model` at the weights that have just been written into
 * the host's memory: base + coefficient * (model - base). coefficient is NaN where the groups of
 * the option groups stand at different ones. The values go into `fisher`, by
 * dfm_fisher_data or dfm_fisher_accumulate; what is left alone is 0. Returns DFM_CALLBACK_OK or
 * DFM_CALLBACK_STOP. */
typedef int32_t (*dfm_fisher_fn)(void *user, int64_t model, double coefficient, dfm_fisher *fisher);

/** Reports progress: `done` of `total` units of `phase` ("trial", "fisher", "merge").
 * Trials and Fisher measurements are reported as they end, merges in bytes and about fifty times a
 * second: a binding may handle its signals here. best is the best score so far, NaN before there is
 * one. Any other answer than 0 stops the run. */
typedef int32_t (*dfm_progress_fn)(void *user, const char *phase, int64_t done, int64_t total,
                                   double best);

#endif
