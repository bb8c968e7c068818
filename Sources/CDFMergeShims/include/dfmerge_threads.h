#ifndef DFMERGE_THREADS_H
#define DFMERGE_THREADS_H

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>

/* Three GNU functions that the system headers show only under _GNU_SOURCE, which a header that is
 * imported as a module cannot set for the headers it includes. */
extern int dfmk_sched_getaffinity(int pid, unsigned long size, void *mask)
    __asm__("sched_getaffinity");
extern int dfmk_pthread_timedjoin(pthread_t thread, void **result,
                                  const struct timespec *deadline) __asm__("pthread_timedjoin_np");
extern int dfmk_pthread_setname(pthread_t thread, const char *name) __asm__("pthread_setname_np");

/** The number of CPUs that this thread may run on, at least 1. */
static inline int64_t dfmk_available_cpus(void) {
    uint64_t mask[1024] = {0}; /* room for 65536 CPUs */
    int64_t n = 0;
    if (dfmk_sched_getaffinity(0, sizeof mask, mask) == 0)
        for (int i = 0; i < 1024; i++) n += __builtin_popcountll(mask[i]);
    return n > 0 ? n : 1;
}

/** Joins `thread`, waiting `milliseconds` at most: 0 when it has ended, else an error number.
 * By the clock of the day, for sanitizers do not know the call with a choice of clock: setting the
 * clock back makes one wait longer, but never past the end of the thread. */
static inline int dfmk_join(pthread_t thread, int64_t milliseconds) {
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    int64_t nanoseconds = deadline.tv_nsec + milliseconds % 1000 * 1000000;
    deadline.tv_sec += milliseconds / 1000 + nanoseconds / 1000000000;
    deadline.tv_nsec = nanoseconds % 1000000000;
    return dfmk_pthread_timedjoin(thread, 0, &deadline);
}

/** Blocks every signal for the calling thread, except those that a fault of its own raises: these
 * must reach the host's handlers, and a blocked one would end the process without them. The mask
 * before goes into `old`, for dfmk_restore_signals. */
static inline void dfmk_block_signals(sigset_t *old) {
    static const int faults[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS};
    sigset_t all;
    sigfillset(&all);
    for (unsigned i = 0; i < sizeof faults / sizeof faults[0]; i++) sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_SETMASK, &all, old);
}

/** Puts the signal mask back that dfmk_block_signals has saved. */
static inline void dfmk_restore_signals(const sigset_t *old) {
    pthread_sigmask(SIG_SETMASK, old, 0);
}

#endif
