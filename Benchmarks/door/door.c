/* What calls into the library and callbacks out of it cost a C program. Prints a JSON object:
 * nanoseconds of some calls, and the result of a search whose evaluation does nothing. */
#include "dfmerge.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CALLS = 1000, BLOCKS = 501, TRIALS = 500, N = 4 };

static void must(dfm_status status) {
    if (status != DFM_OK) {
        fprintf(stderr, "%s: %s\n", dfm_status_name(status), dfm_last_error_message());
        exit(1);
    }
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* Nothing but an answer; the scores differ, so that the search has something to choose from. */
static int32_t evaluate(void *user, int64_t trial, const double *coefficients, int64_t count,
                        double *scores, double *variances, int64_t n_tasks) {
    (void)user, (void)coefficients, (void)count, (void)variances, (void)n_tasks;
    scores[0] = (double)trial;
    return DFM_CALLBACK_OK;
}

static dfm_weights *lend(const char *label, float *values, int32_t writable) {
    const int64_t shape[] = {N};
    dfm_weights *weights = NULL;
    must(dfm_weights_create(label, &weights));
    must(dfm_weights_add(weights, "w", DFM_DTYPE_F32, shape, 1, values, N * 4, writable));
    return weights;
}

static void print_search(void) {
    static float base[N], model[N] = {1, 1, 1, 1}, target[N];
    dfm_weights *first = lend("base", base, 0), *second = lend("model", model, 0);
    dfm_weights *third = lend("target", target, 1);
    dfm_search *search = NULL;
    dfm_text *text = NULL;
    char options[128];
    /* The design that needs no model of the scores, so that trials follow each other closely. */
    snprintf(options, sizeof options,
             "{\"trials\": %d, \"initial\": %d, \"fisher\": \"none\", \"threads\": 1,"
             " \"best_by\": \"observed\"}", TRIALS, TRIALS);
    must(dfm_search_create(options, first, &second, 1, third, NULL, &search));
    must(dfm_search_set_evaluate(search, evaluate, NULL));
    must(dfm_search_run(search, NULL));
    must(dfm_search_result(search, &text));
    printf("\"search\": %s", dfm_text_data(text));
    dfm_text_free(text);
    dfm_search_free(search);
    dfm_weights_free(first);
    dfm_weights_free(second);
    dfm_weights_free(third);
}

static void read_clock(void) { (void)now(); }

static void call_bare(void) { (void)dfm_abi_version(); }

static void make_and_free(void) {
    dfm_cancel *cancel = NULL;
    must(dfm_cancel_create(&cancel));
    dfm_cancel_free(cancel);
}

static dfm_cancel *flag;
static void check_handle(void) { must(dfm_cancel_reset(flag)); }

static void call_and_fail(void) {
    if (dfm_cancel_request(NULL) == DFM_OK || dfm_last_error_message()[0] == 0) exit(1);
}

static int ascending(const void *a, const void *b) {
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

/* The median over blocks of calls: a block in which other programs ran does not count. */
static void print_calls(const char *name, void (*call)(void)) {
    double blocks[BLOCKS];
    for (int block = 0; block < BLOCKS; block++) {
        double start = now();
        for (int i = 0; i < CALLS; i++) call();
        blocks[block] = (now() - start) / CALLS;
    }
    qsort(blocks, BLOCKS, sizeof *blocks, ascending);
    printf("\"%s\": %g, ", name, blocks[BLOCKS / 2]);
}

int main(void) {
    printf("{");
    print_calls("clock", read_clock);
    print_calls("bare", call_bare);
    print_calls("handle", make_and_free);
    must(dfm_cancel_create(&flag));
    print_calls("checked", check_handle);
    dfm_cancel_free(flag);
    print_calls("error", call_and_fail);
    print_search();
    printf("}\n");
    return 0;
}
