/* Milliseconds that dlopen takes, as a JSON object, in a process that has done nothing else. */
#include <dlfcn.h>
#include <stdio.h>
#include <time.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

int main(int argc, char **argv) {
    double start = now();
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
    double opened = now();
    if (library == NULL || dlsym(library, "dfm_abi_version") == NULL) {
        fprintf(stderr, "usage: open LIBRARY: %s\n", dlerror());
        return 1;
    }
    printf("{\"milliseconds\": %g}\n", opened - start);
    return 0;
}
