#ifndef DFMERGE_UNIFIED_H
#define DFMERGE_UNIFIED_H

#include "dfmerge_election.h"

/* One task vector for all models, and which of its elements each model has. With d_m = x_m - b,
 *     u = the d_m of the sign of sum(d_m) that is largest in size, a sum of 0 being negative;
 * model m has the elements where d_m and u have the same sign. Bits: that of element i is bit i % 8
 * of byte i / 8. */

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"
#pragma STDC FP_CONTRACT OFF

#define DFMK_INLINE static inline __attribute__((always_inline))

/** u of a step; NaN where a difference is. Signs are summed apart, as in elections. */
DFMK_INLINE dfmk_doubles dfmk_unified(dfmk_doubles b, const dfmk_model *models, int64_t count,
                                      int64_t i) {
    dfmk_doubles up = 0, down = 0, top = 0, bottom = 0;
    for (int64_t m = 0; m < count; m++) {
        dfmk_doubles d = dfmk_load(models[m].x, i) - b;
        up = ~(d <= 0) ? up + d : up;
        down = d < 0 ? down + d : down;
        top = d > top ? d : top;
        bottom = d < bottom ? d : bottom;
    }
    dfmk_doubles sum = up + down;
    dfmk_doubles u = sum > 0 ? top : bottom;
    return sum != sum ? sum : u;
}

/** Where `d` and `u` have the same sign; nowhere where one is 0. */
DFMK_INLINE dfmk_flags dfmk_same_sign(dfmk_doubles d, dfmk_doubles u) {
    return ((d > 0) & (u > 0)) | ((d < 0) & (u < 0));
}

/** The bit of each lane. */
DFMK_INLINE dfmk_flags dfmk_lane_bits(void) {
    dfmk_flags bits;
    for (int k = 0; k < DFMK_STEP; k++) bits[k] = 1ll << k;
    return bits;
}

/** `out = u`; with `bits`, one address per model, the bits of the elements that it has. */
DFMK_INLINE void dfmk_unify(dfmk_output out, dfmk_input base, const dfmk_model *models,
                            int64_t count, void *const *bits, int64_t n, dfmk_noticed *noticed) {
    const dfmk_flags lanes = dfmk_lane_bits();
    dfmk_tally tally = {0};
    for (int64_t i = 0; i < n; i += DFMK_STEP) {
        dfmk_doubles b = dfmk_load(base, i), u = dfmk_unified(b, models, count, i);
        dfmk_store(out, i, u, &tally);
        if (!bits) continue;
        for (int64_t m = 0; m < count; m++) {
            dfmk_flags has = dfmk_same_sign(dfmk_load(models[m].x, i) - b, u);
            uint16_t word = (uint16_t)__builtin_reduce_or(has & lanes);
            __builtin_memcpy((char *)bits[m] + i / 8, &word, DFMK_STEP / 8);
        }
    }
    dfmk_finish(out, &tally, noticed);
}

/** `out = b + factor u` where model `task` has the element, else `b`. */
DFMK_INLINE void dfmk_add_unified(dfmk_output out, dfmk_input base, const dfmk_model *models,
                                  int64_t count, int64_t task, double factor, int64_t n,
                                  dfmk_noticed *noticed) {
    dfmk_tally tally = {0};
    for (int64_t i = 0; i < n; i += DFMK_STEP) {
        dfmk_doubles b = dfmk_load(base, i), none = 0;
        dfmk_doubles u = dfmk_unified(b, models, count, i);
        dfmk_flags has = dfmk_same_sign(dfmk_load(models[task].x, i) - b, u) | (u != u);
        dfmk_store(out, i, b + factor * (has ? u : none), &tally);
    }
    dfmk_finish(out, &tally, noticed);
}

/** `out = b + factor v` where the element's bit is set, else `b`; everywhere without `bits`. */
DFMK_INLINE void dfmk_add_by_bits(dfmk_output out, dfmk_input base, dfmk_input vector,
                                  const void *bits, double factor, int64_t n,
                                  dfmk_noticed *noticed) {
    const dfmk_flags lanes = dfmk_lane_bits();
    dfmk_tally tally = {0};
    for (int64_t i = 0; i < n; i += DFMK_STEP) {
        dfmk_doubles v = dfmk_load(vector, i), none = 0;
        if (bits) {
            uint16_t word = 0;
            __builtin_memcpy(&word, (const char *)bits + i / 8, DFMK_STEP / 8);
            v = ((dfmk_flags)(int64_t)word & lanes) != 0 ? v : none;
        }
        dfmk_store(out, i, dfmk_load(base, i) + factor * v, &tally);
    }
    dfmk_finish(out, &tally, noticed);
}

/** For each model, adds `|d_m|` to eight sums in turn, and `|u|` where it has the element to the next
 * eight. */
DFMK_INLINE void dfmk_add_unified_sums(dfmk_input base, const dfmk_model *models, int64_t count,
                                       double *sums, int64_t n) {
    for (int64_t i = 0; i < n; i += DFMK_STEP) {
        dfmk_doubles b = dfmk_load(base, i), none = 0;
        dfmk_doubles u = dfmk_unified(b, models, count, i);
        for (int64_t m = 0; m < count; m++) {
            dfmk_doubles d = dfmk_load(models[m].x, i) - b;
            dfmk_doubles own = dfmk_same_sign(d, u) ? u : none;
            dfmk_add(sums + 16 * m, __builtin_elementwise_abs(d));
            dfmk_add(sums + 16 * m + 8, __builtin_elementwise_abs(own));
        }
    }
}

#undef DFMK_INLINE
#pragma clang diagnostic pop

#endif
