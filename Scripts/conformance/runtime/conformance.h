/* What the generated tables and the hand-written parts of the conformance program share. */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include "dfmerge.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- The tables that Scripts/conformance writes from the ABI record ---- */

/** What a parameter takes, and so what it is tried with. */
enum domain {
    DOMAIN_INT32,
    DOMAIN_INT64,
    DOMAIN_DOUBLE,
    DOMAIN_TEXT,
    DOMAIN_HANDLE,
    DOMAIN_HANDLES,
    DOMAIN_DATA,
    DOMAIN_OPAQUE,
    DOMAIN_IN_DOUBLES,
    DOMAIN_IN_INT64S,
    DOMAIN_OUT_HANDLE,
    DOMAIN_OUT_DOUBLES,
    DOMAIN_OUT_INT64S,
    DOMAIN_OUT_INT32S,
    DOMAIN_OUT_FLOAT_POINTER,
    DOMAIN_OUT_POINTER,
    DOMAIN_OUT_DLPACK,
    DOMAIN_EVALUATE,
    DOMAIN_FISHER,
    DOMAIN_PROGRESS
};

/** What a live handle is made for; live.c makes one of each. */
enum role {
    ROLE_NONE,
    ROLE_CANCEL,
    ROLE_TEXT,
    ROLE_WEIGHTS_BASE,
    ROLE_WEIGHTS_EMPTY,
    ROLE_WEIGHTS_OPENED,
    ROLE_WEIGHTS_TARGET,
    ROLE_SEARCH_READY,
    ROLE_SEARCH_STAGED,
    ROLE_SEARCH_FINISHED,
    ROLE_OPTIMIZER_ASKED,
    ROLE_OPTIMIZER_STAGED,
    ROLE_OPTIMIZER_TOLD,
    ROLE_FISHER,
    ROLE_COUNT
};

/** One argument or result of a call. */
union slot {
    int32_t i32;
    int64_t i64;
    double real;
    void *pointer;
    const char *text;
    dfm_evaluate_fn evaluate;
    dfm_fisher_fn fisher;
    dfm_progress_fn progress;
};

struct parameter {
    const char *name;
    enum domain domain;
    bool nullable;
    bool consumed; /* a handle that the call frees */
    bool changed;  /* a handle that a call that succeeds may change */
    int handle;    /* index in handle_names; -1 for other domains */
    enum role role;
    int64_t number; /* the valid value of an integer */
    double real;
    const char *text;
    const double *reals;
    const int64_t *integers;
};

enum result { RESULT_STATUS, RESULT_TEXT, RESULT_INT32, RESULT_INT64, RESULT_VOID };

struct function {
    const char *name;
    enum result result;
    int n_parameters;
    const struct parameter *parameters;
    /** The statuses that its documentation names. */
    const int32_t *statuses;
    int n_statuses;
    bool pairs;
    void (*call)(const union slot *arguments, union slot *result);
};

struct status {
    int32_t number;
    const char *name;
};

/** 1,000 times made, used and freed; a cycle covers a handle type. */
struct cycle {
    const char *handle;
    const char *name;
    void (*run)(int number);
};

extern const struct function functions[];
extern const int n_functions;
extern const struct status statuses[];
extern const int n_statuses;
extern const char *const handle_names[];
extern void (*const handle_frees[])(void *);
extern const enum role handle_roles[];
extern const int n_handles;
extern const struct cycle cycles[];
extern const int n_cycles;


/* ---- live.c: valid arguments ---- */

/** The live handle for a role, made when it is first needed or after `forget`. */
void *live(enum role role);
/** A fresh handle of the role, which the caller frees. */
void *make(enum role role);
/** Frees the live handle of a role, so that the next call of `live` makes another. */
void forget(enum role role);
void forget_all(void);
/** Two models, for arrays of handles; they stay as they are. */
void **live_models(void);
/** A handle of this type that has been freed. */
void *freed(int handle);
/** Gives back a DLPack structure of this major version; its rows must be contiguous. */
void release_dlpack(void *structure, int32_t major);
/** Runs `body` inside a Fisher callback, where the role ROLE_FISHER is live. */
void inside_fisher_callback(void (*body)(const struct function *), const struct function *function);

int32_t evaluate_well(void *user, int64_t trial, const double *coefficients, int64_t n_coefficients,
                      double *scores, double *variances, int64_t n_tasks);
int32_t fisher_well(void *user, int64_t model, double coefficient, dfm_fisher *fisher);
int32_t progress_well(void *user, const char *phase, int64_t done, int64_t total, double best);

/* ---- values.c: what each parameter is tried with ---- */

enum expectation { EXPECT_ANY, EXPECT_NULL_POINTER, EXPECT_WRONG_HANDLE };

/** How many values a parameter has; the value 0 is the valid one. */
int value_count(const struct parameter *parameter);
/** Whether a value takes part in pairs: the costly ones are tried alone. */
bool value_in_pairs(const struct parameter *parameter, int value);
/** The value itself and what the call must say when it is the only wrong one. `place` is the
 * parameter's position, which outputs have memory for. */
enum expectation value_at(const struct parameter *parameter, int value, int place,
                          union slot *argument);
/** Fills the memory of outputs with a pattern, and says whether it is still there. */
void output_reset(const struct parameter *parameter, int place);
bool output_untouched(const struct parameter *parameter, int place);
/** What a call has stored in an output for a handle. */
void *output_handle(int place);
void values_begin(void);
void values_end(void);

/* ---- sweep.c, misuse.c, cycles.c ---- */

/** Ends the program with a message that names the call. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Ends the program unless the status is 0. */
void must(dfm_status status);
/** Calls every function with every value, and returns the number of calls. */
long sweep(bool pairs);
/** Callbacks that stop, lie and call back; returns the number of calls. */
long misuse(void);
/** Makes, uses and frees every handle type `count` times; measures when `measured`. */
void run_cycles(int count, bool measured);

enum { N_ELEMENTS = 8 };

#endif
