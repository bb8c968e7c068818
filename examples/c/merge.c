/* A merge of checkpoints from C: two fine-tunes and their base, made here, then planned and merged.
 * With dfmerge installed (and PKG_CONFIG_PATH=PREFIX/lib/pkgconfig for a PREFIX of your own):
 *
 *     gcc -std=c99 -Wall merge.c $(pkg-config --cflags --libs dfmerge) -o merge
 *     export LD_LIBRARY_PATH=$(pkg-config --variable=libdir dfmerge)
 *     ./merge .
 */
#include <dfmerge.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 64, COLUMNS = 32 };

static void must(dfm_status status) {
    if (status != DFM_OK) {
        fprintf(stderr, "%s: %s\n", dfm_status_name(status), dfm_last_error_message());
        exit(1);
    }
}

/* "folder/name", freed by the caller. */
static char *in_folder(const char *folder, const char *name) {
    char *path = (char *)malloc(strlen(folder) + strlen(name) + 2);
    if (path == NULL) exit(1);
    sprintf(path, "%s/%s", folder, name);
    return path;
}

/* Writes a checkpoint of one tensor, and opens it under a short name: options by model go by it. */
static dfm_weights *checkpoint(const char *folder, const char *name, float shift) {
    static float values[ROWS * COLUMNS];
    const int64_t shape[] = {ROWS, COLUMNS};
    dfm_weights *lent = NULL, *opened = NULL, *named = NULL;
    char *path = in_folder(folder, name);
    for (int i = 0; i < ROWS * COLUMNS; i++) values[i] = (float)(i % 7) + shift * (float)(i % 3);
    must(dfm_weights_create(name, &lent));
    must(dfm_weights_add(lent, "w", DFM_DTYPE_F32, shape, 2, values, sizeof values, 0));
    must(dfm_weights_save(lent, path, NULL, NULL));
    must(dfm_weights_open(path, &opened));
    must(dfm_weights_share(opened, name, &named));
    dfm_weights_free(opened);
    dfm_weights_free(lent);
    free(path);
    return named;
}

/* On the thread that called dfm_merge; any other answer than 0 stops the merge. */
static int32_t progress(void *user, const char *phase, int64_t done, int64_t total, double best) {
    (void)phase, (void)best;
    *(int64_t *)user = done * 100 / (total > 0 ? total : 1);
    return 0;
}

int main(int argc, char **argv) {
    const char *folder = argc > 1 ? argv[1] : ".";
    const char *options = "{\"coefficients\": {\"maths\": 0.5, \"code\": 0.25}}";
    const char *settings = "{\"dtype\": \"BF16\", \"max_memory\": \"200MB\"}";
    char *out = in_folder(folder, "merged");
    dfm_weights *base = checkpoint(folder, "base", 0);
    dfm_weights *models[] = {checkpoint(folder, "maths", 1), checkpoint(folder, "code", -2)};
    dfm_text *plan = NULL, *report = NULL;
    int64_t percent = 0;

    /* JSON; its member "text" is for people. Mismatches are in it and no error here. */
    must(dfm_merge_plan("task_arithmetic", options, settings, base, models, 2, NULL, NULL, out,
                        &plan));
    printf("%s\n", dfm_text_data(plan));
    must(dfm_merge("task_arithmetic", options, settings, base, models, 2, NULL, NULL, out, progress,
                   &percent, NULL, &report));
    printf("%s\n%d %% of %s\n", dfm_text_data(report), (int)percent, out);

    dfm_text_free(plan);
    dfm_text_free(report);
    dfm_weights_free(base);
    for (int i = 0; i < 2; i++) dfm_weights_free(models[i]);
    free(out);
    return 0;
}
