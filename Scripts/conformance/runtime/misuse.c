/* Callbacks that stop, lie and call back into their own search; threads and their messages. */
#include "conformance.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

static long calls;

struct plan {
    int32_t answer;
    double score, variance;
    int reentry;
    dfm_search *search;
    dfm_cancel *cancel;
    dfm_weights *weights;
    dfm_fisher *kept;
    float fisher;
};

static void expect(dfm_status status, dfm_status expected, const char *what) {
    calls++;
    const char *message = dfm_last_error_message();
    if (status != expected)
        fail("%s: is %s (%s), should be %s", what, dfm_status_name(status), message,
             dfm_status_name(expected));
    if ((message[0] != 0) != (status != 0)) fail("%s: message '%s'", what, message);
}

/* Every call on a search from inside its own callback. */
static void call_back(struct plan *plan) {
    double coefficients[2] = {0.5, 0.5};
    dfm_search *search = plan->search;
    dfm_text *text = NULL;
    expect(dfm_search_run(search, NULL), DFM_ERROR_INVALID_STATE, "run inside");
    expect(dfm_search_apply(search, coefficients, 2, 1), DFM_ERROR_INVALID_STATE, "apply inside");
    expect(dfm_search_result(search, &text), DFM_ERROR_INVALID_STATE, "result inside");
    expect(dfm_search_describe(search, &text), DFM_ERROR_INVALID_STATE, "describe inside");
    expect(dfm_search_set_evaluate(search, evaluate_well, NULL), DFM_ERROR_INVALID_STATE,
           "set_evaluate inside");
    expect(dfm_search_set_fisher(search, fisher_well, NULL), DFM_ERROR_INVALID_STATE,
           "set_fisher inside");
    expect(dfm_search_set_progress(search, progress_well, NULL), DFM_ERROR_INVALID_STATE,
           "set_progress inside");
}

static int32_t evaluate(void *user, int64_t trial, const double *coefficients, int64_t count,
                        double *scores, double *variances, int64_t n_tasks) {
    struct plan *plan = user;
    (void)trial, (void)coefficients, (void)count, (void)n_tasks;
    scores[0] = plan->score;
    variances[0] = plan->variance;
    if (plan->reentry == 1) call_back(plan);
    if (plan->reentry == 2) dfm_search_free(plan->search);
    if (plan->cancel != NULL) {
        must(dfm_cancel_request(plan->cancel));
        dfm_cancel_free(plan->cancel);
    }
    return plan->answer;
}

static int32_t fisher(void *user, int64_t model, double coefficient, dfm_fisher *handle) {
    struct plan *plan = user;
    float *values = NULL;
    int64_t count = 0;
    (void)model, (void)coefficient;
    must(dfm_fisher_data(handle, "w", &values, &count));
    for (int64_t i = 0; i < count; i++) values[i] = plan->fisher;
    plan->kept = handle;
    if (plan->reentry == 1) call_back(plan);
    return plan->answer;
}

static int32_t progress(void *user, const char *phase, int64_t done, int64_t total, double best) {
    struct plan *plan = user;
    (void)phase, (void)done, (void)total, (void)best;
    return plan->answer;
}

static void answers_of_callbacks(void) {
    static const struct {
        const char *what;
        int32_t answer;
        double score, variance;
        dfm_status expected;
    } cases[] = {
        {"evaluate stops", DFM_CALLBACK_STOP, 1, 0, DFM_ERROR_CALLBACK_FAILED},
        {"evaluate answers 2", 2, 1, 0, DFM_ERROR_CALLBACK_FAILED},
        {"evaluate answers INT_MIN", INT_MIN, 1, 0, DFM_ERROR_CALLBACK_FAILED},
        {"every trial fails", DFM_CALLBACK_TRIAL_FAILED, 1, 0, DFM_ERROR_ALL_TRIALS_FAILED},
        {"every score is NaN", 0, (double)NAN, 0, DFM_ERROR_ALL_TRIALS_FAILED},
        {"every score is infinite", 0, (double)INFINITY, 0, DFM_ERROR_ALL_TRIALS_FAILED},
        {"huge scores", 0, 1e300, 0, DFM_OK},
        {"denormal scores", 0, 5e-324, 5e-324, DFM_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan plan = {0};
        dfm_search *search = make(ROLE_SEARCH_READY);
        plan.answer = cases[i].answer;
        plan.score = cases[i].score;
        plan.variance = cases[i].variance;
        must(dfm_search_set_evaluate(search, evaluate, &plan));
        expect(dfm_search_run(search, NULL), cases[i].expected, cases[i].what);
        dfm_search_free(search);
    }
    struct plan plan = {0};
    dfm_search *search = make(ROLE_SEARCH_READY);
    plan.answer = 7;
    must(dfm_search_set_progress(search, progress, &plan));
    expect(dfm_search_run(search, NULL), DFM_ERROR_CALLBACK_FAILED, "progress stops");
    dfm_search_free(search);
}

static void calls_from_callbacks(void) {
    struct plan plan = {0};
    plan.score = 1;
    plan.variance = (double)NAN;
    for (plan.reentry = 1; plan.reentry <= 2; plan.reentry++) {
        plan.search = make(ROLE_SEARCH_READY);
        must(dfm_search_set_evaluate(plan.search, evaluate, &plan));
        /* The second time the search frees itself: the call that runs holds on to it. */
        expect(dfm_search_run(plan.search, NULL), DFM_OK, "a run that is called back into");
        expect(dfm_search_run(plan.search, NULL),
               plan.reentry == 1 ? DFM_OK : DFM_ERROR_WRONG_HANDLE, "the run after that");
        dfm_search_free(plan.search);
    }
}

static dfm_search *search_with(const char *options, struct plan *plan, dfm_cancel *cancel) {
    dfm_weights *base = make(ROLE_WEIGHTS_BASE), *target = make(ROLE_WEIGHTS_TARGET);
    dfm_search *search = NULL;
    must(dfm_search_create(options, base, (dfm_weights *const *)live_models(), 2, target, cancel,
                           &search));
    must(dfm_search_set_evaluate(search, evaluate, plan));
    must(dfm_search_set_fisher(search, fisher, plan));
    dfm_weights_free(base);
    dfm_weights_free(target);
    return search;
}

static void fisher_values_that_are_wrong(void) {
    static const char options[] =
        "{\"trials\": 2, \"initial\": 2, \"fisher\": \"static\", \"exponent\": 1}";
    const float wrong[] = {NAN, INFINITY, -1};
    for (int i = 0; i < 3; i++) {
        struct plan plan = {0};
        plan.fisher = wrong[i];
        plan.score = 1;
        dfm_search *search = search_with(options, &plan, NULL);
        dfm_status status = dfm_search_run(search, NULL);
        calls++;
        if (status == DFM_OK) fail("a Fisher value of %g is accepted", (double)wrong[i]);
        expect(dfm_fisher_accumulate(plan.kept, "w", DFM_DTYPE_F32, wrong, 3, 1),
               DFM_ERROR_WRONG_HANDLE, "a Fisher handle that was kept");
        dfm_search_free(search);
    }
    struct plan plan = {0};
    plan.fisher = plan.reentry = 1;
    plan.answer = DFM_CALLBACK_STOP;
    plan.search = search_with(options, &plan, NULL);
    expect(dfm_search_run(plan.search, NULL), DFM_ERROR_CALLBACK_FAILED, "the Fisher stops");
    dfm_search_free(plan.search);
}

static void stop_flag_in_a_callback(void) {
    struct plan plan = {0};
    plan.score = 1;
    plan.cancel = make(ROLE_CANCEL);
    dfm_search *search =
        search_with("{\"trials\": 3, \"fisher\": \"none\"}", &plan, plan.cancel);
    expect(dfm_search_run(search, NULL), DFM_ERROR_CANCELLED, "a run with its flag raised");
    dfm_search_free(search);
}

static void *on_a_thread(void *optimizer) {
    double points[2];
    int64_t number;
    if (dfm_last_error_message()[0] != 0) fail("a new thread begins with a message");
    for (int i = 0; i < 20; i++) {
        double score = i;
        must(dfm_optimizer_ask(optimizer, 1, points, &number));
        must(dfm_optimizer_tell(optimizer, number, &score, NULL, 1));
        if (dfm_optimizer_tell(optimizer, number, &score, NULL, 1) != DFM_ERROR_INVALID_STATE)
            fail("a point is told twice");
    }
    return NULL;
}

static void one_message_per_thread(void) {
    static const char options[] =
        "{\"parameters\": [{\"name\": \"x\", \"low\": 0, \"high\": 1},"
        " {\"name\": \"y\", \"low\": 0, \"high\": 1}], \"initial\": 1000}";
    dfm_optimizer *optimizer = NULL;
    pthread_t threads[2];
    must(dfm_optimizer_create(options, NULL, &optimizer));
    expect(dfm_cancel_request(NULL), DFM_ERROR_NULL_POINTER, "no flag");
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, on_a_thread, optimizer) != 0) fail("no thread");
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    if (strstr(dfm_last_error_message(), "NULL") == NULL)
        fail("a message is gone: '%s'", dfm_last_error_message());
    dfm_optimizer_free(optimizer);
    calls += 2 * 20 * 3 + 1;
}

long misuse(void) {
    answers_of_callbacks();
    calls_from_callbacks();
    fisher_values_that_are_wrong();
    stop_flag_in_a_callback();
    one_message_per_thread();
    forget_all();
    return calls;
}
