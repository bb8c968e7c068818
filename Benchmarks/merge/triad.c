/* STREAM triad: a[i] = b[i] + scale * c[i] on doubles, the elements split between threads.
 *
 * Compiled by triad.py with gcc -O3 -march=native. gcc makes no streaming stores by itself; the
 * second function has them written out. */

#include <pthread.h>
#include <stddef.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

enum { MAX_THREADS = 64 };

typedef struct {
    double *a;
    const double *b, *c;
    double scale;
    size_t low, high;
    int passes, streaming;
} job;

static void plain(double *restrict a, const double *restrict b, const double *restrict c,
                  double scale, size_t count) {
    for (size_t i = 0; i < count; i++) a[i] = b[i] + scale * c[i];
}

static void streaming(double *a, const double *b, const double *c, double scale, size_t count) {
#ifdef __AVX512F__
    __m512d factor = _mm512_set1_pd(scale);
    size_t i = 0;
    for (; i < count && ((size_t)(a + i) & 63) != 0; i++) a[i] = b[i] + scale * c[i];
    for (; i + 8 <= count; i += 8)
        _mm512_stream_pd(a + i, _mm512_fmadd_pd(factor, _mm512_loadu_pd(c + i),
                                                _mm512_loadu_pd(b + i)));
    _mm_sfence();
    for (; i < count; i++) a[i] = b[i] + scale * c[i];
#else
    plain(a, b, c, scale, count);
#endif
}

static void *work(void *argument) {
    job *j = argument;
    size_t count = j->high - j->low;
    for (int pass = 0; pass < j->passes; pass++) {
        if (j->streaming)
            streaming(j->a + j->low, j->b + j->low, j->c + j->low, j->scale, count);
        else
            plain(j->a + j->low, j->b + j->low, j->c + j->low, j->scale, count);
    }
    return NULL;
}

/* Whether triad(..., 1) has streaming stores on this machine. */
int triad_streams(void) {
#ifdef __AVX512F__
    return 1;
#else
    return 0;
#endif
}

/* 0 for success. Threads are made and joined in the call, as those of the library are. */
int triad(double *a, const double *b, const double *c, double scale, size_t count, int passes,
          int threads, int stream) {
    pthread_t handles[MAX_THREADS];
    job jobs[MAX_THREADS];
    if (threads < 1 || threads > MAX_THREADS) return -1;
    size_t step = (count / (size_t)threads + 7) / 8 * 8;
    int failed = 0, made = 0;
    for (int t = 0; t < threads; t++) {
        size_t low = (size_t)t * step < count ? (size_t)t * step : count;
        size_t high = t == threads - 1 || low + step > count ? count : low + step;
        jobs[t] = (job){a, b, c, scale, low, high, passes, stream};
        if (pthread_create(&handles[t], NULL, work, &jobs[t]) != 0) {
            failed = -1;
            break;
        }
        made++;
    }
    for (int t = 0; t < made; t++) pthread_join(handles[t], NULL);
    return failed;
}
