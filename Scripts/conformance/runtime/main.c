/* conformance FOLDER [--no-pairs] [--cycles N] [--unmeasured]
 *
 * Calls every exported function with everything that can be wrong, misuses callbacks and threads,
 * and makes, uses and frees every type of handle N times. FOLDER is an empty folder of its own. */
#include "conformance.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("conformance: error: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    _exit(1);
}

void must(dfm_status status) {
    if (status != DFM_OK)
        fail("a valid call fails: %s: %s", dfm_status_name(status), dfm_last_error_message());
}

int main(int argc, char **argv) {
    bool pairs = true, measured = true;
    int count = 1000;
    if (argc < 2 || chdir(argv[1]) != 0) fail("usage: conformance FOLDER [options]");
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--no-pairs") == 0) pairs = false;
        else if (strcmp(argv[i], "--unmeasured") == 0) measured = false;
        else if (strcmp(argv[i], "--cycles") == 0 && i + 1 < argc) count = atoi(argv[++i]);
        else fail("there is no option %s", argv[i]);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    dfm_weights *weights = make(ROLE_WEIGHTS_BASE);
    must(dfm_weights_save(weights, "model.safetensors", NULL, NULL));
    dfm_weights_free(weights);

    values_begin();
    printf("%d functions, ", n_functions);
    fflush(stdout);
    long calls = sweep(pairs);
    printf("%ld calls, %ld from and around callbacks and threads\n", calls, misuse());
    values_end();
    run_cycles(count, measured);
    return 0;
}
