/* Makes, uses and frees every type of handle many times: memory and open files must stay flat. */
#include "conformance.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What may stay behind after all cycles of one kind: buffers that the C library keeps. */
enum { MOST_BYTES = 16 << 10, MOST_RESIDENT = 1 << 20 };

static long long allocated(void) {
    struct mallinfo2 info = mallinfo2();
    return (long long)info.uordblks + (long long)info.hblkhd;
}

static long long resident(void) {
    long long total = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%lld %lld", &total, &pages) != 2) fail("no /proc/self/statm");
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static int entries(const char *folder) {
    int count = 0;
    DIR *open = opendir(folder);
    if (open == NULL) fail("%s cannot be listed", folder);
    while (readdir(open) != NULL) count++;
    closedir(open);
    return count;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void read_text(dfm_text *text) {
    if (dfm_text_size(text) != (int64_t)strlen(dfm_text_data(text))) fail("a text has no size");
    dfm_text_free(text);
}

void cycle_text(int number) {
    dfm_text *text = NULL;
    (void)number;
    must(dfm_methods_describe(&text));
    read_text(text);
}

void cycle_cancel(int number) {
    dfm_cancel *cancel = make(ROLE_CANCEL);
    (void)number;
    must(dfm_cancel_request(cancel));
    must(dfm_cancel_reset(cancel));
    dfm_cancel_free(cancel);
}

static void describe_weights(dfm_weights *weights) {
    dfm_text *text = NULL;
    const void *data = NULL;
    int64_t size = 0;
    must(dfm_weights_describe(weights, &text));
    read_text(text);
    must(dfm_weights_data(weights, "w", &data, &size));
    if (size != N_ELEMENTS * 4) fail("the tensor has %d bytes", (int)size);
}

void cycle_weights_lent(int number) {
    dfm_weights *weights = make(ROLE_WEIGHTS_BASE);
    (void)number;
    describe_weights(weights);
    dfm_weights_free(weights);
}

void cycle_weights_opened(int number) {
    dfm_weights *weights = NULL;
    (void)number;
    must(dfm_weights_open("model.safetensors", &weights));
    describe_weights(weights);
    dfm_weights_free(weights);
}

void cycle_weights_shared(int number) {
    dfm_weights *first = NULL, *weights = NULL;
    (void)number;
    must(dfm_weights_open("model.safetensors", &first));
    must(dfm_weights_share(first, "another", &weights));
    dfm_weights_free(first);
    describe_weights(weights);
    dfm_weights_free(weights);
}

void cycle_weights_allocated(int number) {
    static const int64_t shape[] = {2, N_ELEMENTS / 2};
    dfm_weights *weights = make(ROLE_WEIGHTS_EMPTY);
    void *structure = NULL;
    /* DLPack's older structure every other time. */
    int32_t major = number % 2;
    must(dfm_weights_allocate(weights, "w", DFM_DTYPE_F32, shape, 2));
    describe_weights(weights);
    must(dfm_weights_dlpack(weights, "w", major, &structure));
    /* The structure holds on to the memory. */
    dfm_weights_free(weights);
    release_dlpack(structure, major);
}

static void read_search(dfm_search *search) {
    static const double coefficients[] = {0.3, 0.6};
    dfm_text *text = NULL;
    must(dfm_search_describe(search, &text));
    read_text(text);
    must(dfm_search_result(search, &text));
    read_text(text);
    must(dfm_search_apply(search, coefficients, 2, 0.5));
    dfm_search_free(search);
}

static dfm_search *search_with_fisher(void) {
    static const char options[] =
        "{\"trials\": 3, \"initial\": 3, \"fisher\": \"dynamic\", \"exponent\": 1, \"threads\": 1}";
    dfm_weights *base = make(ROLE_WEIGHTS_BASE), *target = make(ROLE_WEIGHTS_TARGET);
    dfm_search *search = NULL;
    must(dfm_search_create(options, base, (dfm_weights *const *)live_models(), 2, target,
                           live(ROLE_CANCEL), &search));
    dfm_weights_free(base);
    dfm_weights_free(target);
    must(dfm_search_set_evaluate(search, evaluate_well, NULL));
    must(dfm_search_set_fisher(search, fisher_well, NULL));
    must(dfm_search_set_progress(search, progress_well, NULL));
    return search;
}

void cycle_search_fisher(int number) {
    dfm_search *search = search_with_fisher();
    (void)number;
    must(dfm_search_run(search, NULL));
    read_search(search);
}

void cycle_search_journal(int number) {
    dfm_search *search = search_with_fisher();
    /* Every other time the journal is complete already, and is read back. */
    if (number % 2 == 0) remove("cycle.jsonl");
    must(dfm_search_run(search, "cycle.jsonl"));
    read_search(search);
}

void cycle_search_failed(int number) {
    dfm_weights *base = make(ROLE_WEIGHTS_BASE);
    dfm_search *search = NULL;
    (void)number;
    if (dfm_search_create("{\"trials\": 0}", base, (dfm_weights *const *)live_models(), 2, base,
                          NULL, &search) == DFM_OK)
        fail("a search without trials is made");
    dfm_weights_free(base);
}

static void use_optimizer(const char *journal) {
    static const char options[] =
        "{\"parameters\": [{\"name\": \"x\", \"low\": 0, \"high\": 1},"
        " {\"name\": \"y\", \"low\": 0, \"high\": 1}], \"initial\": 2}";
    static const double point[] = {0.5, 0.5}, score = 0.25;
    dfm_optimizer *optimizer = NULL;
    dfm_text *text = NULL;
    double points[6], mean, sd;
    int64_t numbers[3], number;
    must(dfm_optimizer_create(options, journal, &optimizer));
    must(dfm_optimizer_ask(optimizer, 3, points, numbers));
    must(dfm_optimizer_tell(optimizer, numbers[0], &score, NULL, 1));
    must(dfm_optimizer_tell_failed(optimizer, numbers[1], "a reason"));
    must(dfm_optimizer_withdraw(optimizer, numbers[2]));
    must(dfm_optimizer_enqueue(optimizer, point, 1, 2, 1));
    must(dfm_optimizer_observe(optimizer, point, 2, &score, NULL, 1, &number));
    must(dfm_optimizer_predict(optimizer, point, 1, 2, &mean, &sd));
    must(dfm_optimizer_stop_reason(optimizer, &text));
    read_text(text);
    must(dfm_optimizer_best(optimizer, &text));
    read_text(text);
    must(dfm_optimizer_trials(optimizer, &text));
    read_text(text);
    must(dfm_optimizer_result(optimizer, &text));
    read_text(text);
    dfm_optimizer_free(optimizer);
}

void cycle_optimizer(int number) {
    (void)number;
    use_optimizer(NULL);
}

void cycle_optimizer_journal(int number) {
    (void)number;
    remove("optimizer.jsonl");
    use_optimizer("optimizer.jsonl");
}

void run_cycles(int count, bool measured) {
    for (int i = 0; i < n_cycles; i++) {
        const struct cycle *cycle = &cycles[i];
        /* What is made once and kept, such as tables of names and a thread's stack. */
        for (int n = 0; n < 50 && n < count; n++) cycle->run(n);
        malloc_trim(0);
        long long bytes = allocated(), pages = resident();
        int files = entries("/proc/self/fd"), tasks = entries("/proc/self/task");
        double start = now();
        for (int n = 0; n < count; n++) cycle->run(n);
        double seconds = now() - start;
        malloc_trim(0);
        bytes = allocated() - bytes;
        pages = resident() - pages;
        files = entries("/proc/self/fd") - files;
        tasks = entries("/proc/self/task") - tasks;
        if (measured)
            printf("%-14s %-20s %5d cycles %7.1f us each: %+6lld bytes, %+5lld KiB resident, "
                   "%+d files\n", cycle->handle, cycle->name, count, seconds / count * 1e6, bytes,
                   pages / 1024, files);
        if (files != 0) fail("%s: %+d open files", cycle->name, files);
        if (tasks != 0) fail("%s: %+d threads", cycle->name, tasks);
        if (measured && (bytes > MOST_BYTES || pages > MOST_RESIDENT))
            fail("%s: memory grows: %lld bytes allocated, %lld resident", cycle->name, bytes,
                 pages);
    }
    forget_all();
}
