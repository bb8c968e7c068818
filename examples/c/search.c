/* A DF-Merge search from C: a small network, fine-tuned on the left and on the right half of a
 * task, merged by the accuracy of an evaluation callback, weighted by a Fisher callback. With
 * dfmerge installed (and PKG_CONFIG_PATH=PREFIX/lib/pkgconfig where PREFIX is a place of your own):
 *
 *     gcc -std=c99 -Wall search.c $(pkg-config --cflags --libs dfmerge) -lm -o search
 *     export LD_LIBRARY_PATH=$(pkg-config --variable=libdir dfmerge)
 *     ./search search.jsonl merged.safetensors
 */
#include "network.h"

#include <dfmerge.h>

#include <stdio.h>
#include <stdlib.h>

/* The program's own model: every candidate is written here. */
static float live[SIZE];

static void must(dfm_status status) {
    if (status == DFM_OK) return;
    fprintf(stderr, "%s: %s\n", dfm_status_name(status), dfm_last_error_message());
    exit(1);
}

/* Scores the weights that stand in `live`, one score per task; larger is better. */
static int32_t evaluate(void *user, int64_t trial, const double *coefficients, int64_t n_models,
                        double *scores, double *variances, int64_t n_tasks) {
    (void)user, (void)trial, (void)coefficients, (void)n_models, (void)variances, (void)n_tasks;
    accuracy(live, VALIDATION, scores);
    return DFM_CALLBACK_OK;
}

/* The diagonal Fisher of the model at the weights that stand in `live`, sample by sample: here
 * exact, the mean of p (1 - p) (gradient of the logit)^2 over the samples that the model was tuned
 * on. */
static int32_t fisher(void *user, int64_t model, double coefficient, dfm_fisher *values) {
    float gradient[SIZE];
    (void)user, (void)coefficient;
    for (int i = 0; i < SAMPLES; i += 2) {
        if (side(inputs[i]) != model) continue;
        double p = forward(live, inputs[i], gradient);
        double weight = p * (1 - p) * 4 / SAMPLES;
        for (int t = 0; t < TENSORS; t++) {
            dfm_status status =
                dfm_fisher_accumulate(values, tensors[t].name, DFM_DTYPE_F32,
                                      gradient + tensors[t].first, tensors[t].count, weight);
            if (status != DFM_OK) return DFM_CALLBACK_STOP;
        }
    }
    return DFM_CALLBACK_OK;
}

static int32_t progress(void *user, const char *phase, int64_t done, int64_t total, double best) {
    (void)user;
    if (phase[0] == 't' && done % 10 == 0)
        printf("%2d of %d trials, best %.3f\n", (int)done, (int)total, best);
    return DFM_CALLBACK_OK;
}

/* Lends a network to the library, which neither copies nor frees it. */
static dfm_weights *lend(const char *label, float *net, int32_t writable) {
    dfm_weights *weights = NULL;
    must(dfm_weights_create(label, &weights));
    for (int t = 0; t < TENSORS; t++)
        must(dfm_weights_add(weights, tensors[t].name, DFM_DTYPE_F32, tensors[t].shape,
                             tensors[t].rank, net + tensors[t].first,
                             tensors[t].count * (int64_t)sizeof *net, writable));
    return weights;
}

int main(int argc, char **argv) {
    static const char *const names[] = {"left", "right"};
    static float start[SIZE], halves[2][SIZE];
    double scores[2] = {0, 0}, alone = 0;
    dfm_weights *models[2];
    dfm_search *search = NULL;
    if (argc != 3) {
        fprintf(stderr, "usage: %s JOURNAL MERGED.safetensors\n", argv[0]);
        return 2;
    }
    fill(inputs[0], 2 * SAMPLES);
    fill(start, SIZE);
    train(start, 2, 3);
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < SIZE; j++) halves[i][j] = start[j];
        train(halves[i], i, 20);
        models[i] = lend(names[i], halves[i], 0);
        accuracy(halves[i], TEST, scores);
        alone = fmax(alone, (scores[0] + scores[1]) / 2);
        printf("%s alone: left %.3f, right %.3f\n", names[i], scores[0], scores[1]);
    }
    dfm_weights *base = lend("base", start, 0), *target = lend("live", live, 1);

    must(dfm_search_create("{\"trials\": 30, \"tasks\": [\"left\", \"right\"]}", base, models, 2,
                           target, NULL, &search));
    must(dfm_search_set_evaluate(search, evaluate, NULL));
    must(dfm_search_set_fisher(search, fisher, NULL));
    must(dfm_search_set_progress(search, progress, NULL));
    must(dfm_search_run(search, argv[1]));

    /* The best candidate stands in `live` now. */
    must(dfm_weights_save(target, argv[2], NULL, NULL));
    accuracy(live, TEST, scores);
    printf("merged: left %.3f, right %.3f, in %s\n", scores[0], scores[1], argv[2]);

    dfm_search_free(search);
    for (int i = 0; i < 2; i++) dfm_weights_free(models[i]);
    dfm_weights_free(base);
    dfm_weights_free(target);
    return (scores[0] + scores[1]) / 2 > alone + 0.1 ? 0 : 1;
}
