/* A DF-Merge search from C: two fine-tunes of a model with one weight vector, merged by the score of an
 * evaluation callback.
 *
 *     gcc -std=c99 -Wall -Iinclude examples/c/search.c -Lbuild/lib -ldfmerge -lm -o build/search
 *     LD_LIBRARY_PATH=build/lib build/search build/search.jsonl build/merged.safetensors
 */
#include "dfmerge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 1000 };

/* The program's own parameter memory: every candidate is written here. */
static float live[N];
static float goal[N];

static void must(dfm_status status) {
    if (status != DFM_OK) {
        fprintf(stderr, "%s: %s\n", dfm_status_name(status), dfm_last_error_message());
        exit(1);
    }
}

static float noise(void) { return (float)rand() / (float)RAND_MAX - 0.5f; }

/* Scores the weights that stand in `live`: larger is better. */
static int32_t evaluate(void *user, int64_t trial, const double *coefficients, int64_t n_models,
                        double *scores, double *variances, int64_t n_tasks) {
    (void)user, (void)trial, (void)coefficients, (void)n_models, (void)variances, (void)n_tasks;
    double distance = 0;
    for (int i = 0; i < N; i++) distance += pow(live[i] - goal[i], 2);
    scores[0] = 1 - distance / N;
    return DFM_CALLBACK_OK;
}

/* The diagonal Fisher, one sample's gradient at a time. Here the gradients are made up. */
static int32_t fisher(void *user, int64_t model, double coefficient, dfm_fisher *values) {
    static float gradient[N];
    (void)user, (void)coefficient;
    for (int sample = 0; sample < 4; sample++) {
        for (int i = 0; i < N; i++) gradient[i] = 1.0f + 0.1f * (float)((i + sample + model) % 3);
        if (dfm_fisher_accumulate(values, "w", DFM_DTYPE_F32, gradient, N, 0.25) != DFM_OK)
            return DFM_CALLBACK_STOP;
    }
    return DFM_CALLBACK_OK;
}

static int32_t progress(void *user, const char *phase, int64_t done, int64_t total, double best) {
    (void)user;
    if (phase[0] == 't' && done % 10 == 0)
        printf("%2d of %d trials, best %.5f\n", (int)done, (int)total, best);
    return DFM_CALLBACK_OK;
}

/* Lends an array to the library as the tensor "w". */
static dfm_weights *lend(const char *label, float *data, int32_t writable) {
    const int64_t shape[] = {N};
    dfm_weights *weights = NULL;
    must(dfm_weights_create(label, &weights));
    must(dfm_weights_add(weights, "w", DFM_DTYPE_F32, shape, 1, data, N * sizeof(float), writable));
    return weights;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s JOURNAL MERGED.safetensors\n", argv[0]);
        return 2;
    }
    static float theta0[N], a[N], b[N];
    srand(1);
    for (int i = 0; i < N; i++) {
        theta0[i] = noise();
        a[i] = theta0[i] + noise();
        b[i] = theta0[i] + noise();
        goal[i] = theta0[i] + 0.7f * (a[i] - theta0[i]) + 0.2f * (b[i] - theta0[i]);
    }
    dfm_weights *base = lend("base", theta0, 0), *target = lend("target", live, 1);
    dfm_weights *models[] = {lend("a", a, 0), lend("b", b, 0)};

    dfm_search *search = NULL;
    must(dfm_search_create("{\"trials\": 30, \"tasks\": [\"score\"]}", base, models, 2, target, NULL,
                           &search));
    must(dfm_search_set_evaluate(search, evaluate, NULL));
    must(dfm_search_set_fisher(search, fisher, NULL));
    must(dfm_search_set_progress(search, progress, NULL));
    must(dfm_search_run(search, argv[1]));

    /* The best candidate stands in `live` now. */
    must(dfm_weights_save(target, argv[2], NULL, NULL));
    double score = 0, unknown = NAN;
    evaluate(NULL, 0, NULL, 0, &score, &unknown, 1);
    printf("merged model with score %.5f in %s\n", score, argv[2]);

    dfm_search_free(search);
    dfm_weights_free(models[0]);
    dfm_weights_free(models[1]);
    dfm_weights_free(base);
    dfm_weights_free(target);
    return score > 0.99 ? 0 : 1;
}
