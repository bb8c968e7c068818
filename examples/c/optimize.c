/* Bayesian optimisation from C: two parameters, a batch of three points at a time, a journal that a
 * later run continues. With dfmerge installed (and PKG_CONFIG_PATH=PREFIX/lib/pkgconfig for a
 * PREFIX of your own):
 *
 *     gcc -std=c99 -Wall optimize.c $(pkg-config --cflags --libs dfmerge) -lm -o optimize
 *     export LD_LIBRARY_PATH=$(pkg-config --variable=libdir dfmerge)
 *     ./optimize optimize.jsonl
 */
#include <dfmerge.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 3, PARAMETERS = 2 };

static void must(dfm_status status) {
    if (status != DFM_OK) {
        fprintf(stderr, "%s: %s\n", dfm_status_name(status), dfm_last_error_message());
        exit(1);
    }
}

/* What takes minutes in earnest: train, merge, measure. Larger is better; NaN marks a failure. */
static double evaluate(const double *point) {
    double rate = point[0], scale = point[1];
    if (scale > 1.9) return NAN;
    return 1 - pow(rate - 0.3, 2) - pow(scale - 1.2, 2) / 4;
}

/* Whether a loop should end; the reason is printed. */
static int is_over(dfm_optimizer *optimizer) {
    dfm_text *reason = NULL;
    must(dfm_optimizer_stop_reason(optimizer, &reason));
    int over = dfm_text_size(reason) > 0;
    if (over) printf("ended: %s\n", dfm_text_data(reason));
    dfm_text_free(reason);
    return over;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s JOURNAL\n", argv[0]);
        return 2;
    }
    dfm_optimizer *optimizer = NULL;
    must(dfm_optimizer_create("{\"parameters\": [{\"name\": \"rate\", \"low\": 0, \"high\": 1},"
                              "                  {\"name\": \"scale\", \"low\": 0, \"high\": 2}],"
                              " \"trials\": 30, \"target\": 0.9999}",
                              argv[1], &optimizer));
    while (!is_over(optimizer)) {
        double points[BATCH * PARAMETERS];
        int64_t numbers[BATCH];
        must(dfm_optimizer_ask(optimizer, BATCH, points, numbers));
        /* Three machines could evaluate these side by side and answer in any order. */
        for (int i = 0; i < BATCH; i++) {
            double score = evaluate(points + i * PARAMETERS);
            must(dfm_optimizer_tell(optimizer, numbers[i], &score, NULL, 1));
        }
    }
    dfm_text *best = NULL;
    must(dfm_optimizer_best(optimizer, &best));
    printf("best: %s\n", dfm_text_data(best));
    dfm_text_free(best);

    double point[PARAMETERS] = {0.3, 1.2}, mean = 0, sd = 0;
    must(dfm_optimizer_predict(optimizer, point, 1, PARAMETERS, &mean, &sd));
    printf("expected at (0.3, 1.2): %.4f, standard deviation %.4f\n", mean, sd);
    dfm_optimizer_free(optimizer);
    return fabs(mean - 1) < 0.01 ? 0 : 1;
}
