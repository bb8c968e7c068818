#ifndef DFMERGE_ELECTION_H
#define DFMERGE_ELECTION_H

#include "dfmerge_convert.h"

/* Sign election over task vectors, eight elements at a time. The terms of an element are
 *     v_m = f_m (x_m - b) where |x_m - b| >= t_m, otherwise nothing;
 * `numbers` holds t_m, f_m and the weight w_m of one model after the other. In C for the choices by
 * vector comparisons, which become masked instructions where the CPU has them. Elements are floats,
 * or doubles where `wide`; `n` is a multiple of eight; addresses may be unaligned. */

typedef int64_t dfmk_mask64 __attribute__((ext_vector_type(8)));

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"
/* Only what Swift would import as optional otherwise is annotated. */
#pragma clang diagnostic ignored "-Wnullability-completeness"
#pragma STDC FP_CONTRACT OFF

#define DFMK_INLINE static inline __attribute__((always_inline))
/* As in the Swift loops: memory is asked for this many bytes ahead. */
#define DFMK_AHEAD 2048

enum { DFMK_MEAN = 0, DFMK_SUM = 1, DFMK_LARGEST = 2 };

DFMK_INLINE dfmk_f64x8 dfmk_load_lane(const void *p, const _Bool wide) {
    dfmk_prefetch((const char *)p + DFMK_AHEAD);
    return wide ? dfmk_load_f64x8(p) : dfmk_load_f32x8(p);
}

/* What the terms of eight elements come to, those above and those below 0 apart. Terms that are NaN
 * are with those above, so that `up` is NaN. */
typedef struct {
    dfmk_f64x8 up, down, up_weight, down_weight, votes, top, bottom;
} dfmk_tally;

DFMK_INLINE dfmk_tally dfmk_count_terms(dfmk_f64x8 b, const void *_Nonnull const *x, const double *numbers,
                                        int64_t models, int64_t at, const _Bool wide,
                                        const _Bool by_count, const int aggregate) {
    dfmk_tally t = {0, 0, 0, 0, 0, 0, 0};
    for (int64_t m = 0; m < models; m++, numbers += 3) {
        dfmk_f64x8 d = dfmk_load_lane((const char *)x[m] + at, wide) - b;
        dfmk_f64x8 v = d * numbers[1];
        dfmk_mask64 kept = ~(__builtin_elementwise_abs(d) < numbers[0]);
        dfmk_mask64 above = kept & ~(v <= 0), below = kept & (v < 0);
        t.up = above ? t.up + v : t.up;
        t.down = below ? t.down + v : t.down;
        if (aggregate == DFMK_MEAN) {
            t.up_weight = above ? t.up_weight + numbers[2] : t.up_weight;
            t.down_weight = below ? t.down_weight + numbers[2] : t.down_weight;
        }
        if (aggregate == DFMK_LARGEST) {
            t.top = (kept & (v > t.top)) ? v : t.top;
            t.bottom = (kept & (v < t.bottom)) ? v : t.bottom;
        }
        if (by_count) {
            t.votes = above ? t.votes + 1 : t.votes;
            t.votes = below ? t.votes - 1 : t.votes;
        }
    }
    return t;
}

/** `out = b + scale * a`, doubles; `a` is what the terms of the elected sign come to. */
DFMK_INLINE void dfmk_elect(void *out, const void *base, const void *_Nonnull const *x,
                            const double *numbers, int64_t models, int64_t n, const _Bool wide,
                            const _Bool by_count, const int aggregate, double zero_sign,
                            double scale) {
    const int64_t width = wide ? 8 : 4;
    const dfmk_mask64 tie_is_up = (dfmk_mask64)(zero_sign > 0 ? -1 : 0);
    const dfmk_mask64 tie_is_down = (dfmk_mask64)(zero_sign < 0 ? -1 : 0);
    for (int64_t i = 0; i < n; i += 8) {
        dfmk_f64x8 b = dfmk_load_lane((const char *)base + i * width, wide);
        dfmk_tally t =
            dfmk_count_terms(b, x, numbers, models, i * width, wide, by_count, aggregate);
        dfmk_f64x8 sum = t.up + t.down;
        dfmk_f64x8 vote = by_count ? t.votes : sum;
        dfmk_mask64 up = (vote > 0) | ((vote == 0) & tie_is_up);
        dfmk_mask64 down = (vote < 0) | ((vote == 0) & tie_is_down);
        dfmk_f64x8 none = 0, a;
        if (aggregate == DFMK_LARGEST) {
            a = up ? t.top : down ? t.bottom : none;
        } else {
            a = up ? t.up : down ? t.down : none;
        }
        if (aggregate == DFMK_MEAN) {
            dfmk_f64x8 weight = up ? t.up_weight : t.down_weight;
            a = a / (weight == 0 ? none + 1 : weight);
        }
        a = sum != sum ? sum : a;
        *(dfmk_f64x8u *)((char *)out + 8 * i) = b + a * scale;
    }
}

/** `out = b + sum(v_m)`, doubles: no election. */
DFMK_INLINE void dfmk_add_terms(void *out, const void *base, const void *_Nonnull const *x,
                                const double *numbers, int64_t models, int64_t n,
                                const _Bool wide) {
    const int64_t width = wide ? 8 : 4;
    for (int64_t i = 0; i < n; i += 8) {
        dfmk_f64x8 b = dfmk_load_lane((const char *)base + i * width, wide);
        dfmk_f64x8 sum = 0;
        for (int64_t m = 0; m < models; m++) {
            dfmk_f64x8 d = dfmk_load_lane((const char *)x[m] + i * width, wide) - b;
            dfmk_mask64 dropped = __builtin_elementwise_abs(d) < numbers[3 * m];
            sum = dropped ? sum : sum + d * numbers[3 * m + 1];
        }
        *(dfmk_f64x8u *)((char *)out + 8 * i) = b + sum;
    }
}

/** The number of elements whose vote is above 0 less that of those below. */
DFMK_INLINE int64_t dfmk_sign_balance(const void *base, const void *_Nonnull const *x,
                                      const double *numbers, int64_t models, int64_t n,
                                      const _Bool wide, const _Bool by_count) {
    const int64_t width = wide ? 8 : 4;
    dfmk_mask64 balance = 0;
    for (int64_t i = 0; i < n; i += 8) {
        dfmk_f64x8 b = dfmk_load_lane((const char *)base + i * width, wide);
        dfmk_tally t =
            dfmk_count_terms(b, x, numbers, models, i * width, wide, by_count, DFMK_SUM);
        dfmk_f64x8 vote = by_count ? t.votes : t.up + t.down;
        balance += (vote < 0) - (vote > 0);
    }
    return __builtin_reduce_add(balance);
}

#undef DFMK_AHEAD
#undef DFMK_INLINE
#pragma clang diagnostic pop

#endif
