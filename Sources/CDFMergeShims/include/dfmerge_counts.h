#ifndef DFMERGE_COUNTS_H
#define DFMERGE_COUNTS_H

#include "dfmerge_masks.h"

/* Counting numbers of any sign by a few bits of their keys, as dfmerge_magnitude.h does with
 * magnitudes. The key of a double, or of the float nearest to it, is its bits turned so that keys are
 * in the order of the numbers: -0 below 0, NaN as minus infinity. How many are NaN is returned. */

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"
#pragma STDC FP_CONTRACT OFF

#define DFMK_INLINE static inline __attribute__((always_inline))
/* Numbers whose keys are made before they are counted. */
#define DFMK_KEYS 256

typedef double dfmk_ranked_f64 __attribute__((ext_vector_type(16)));
typedef double dfmk_ranked_f64u __attribute__((ext_vector_type(16), aligned(1), may_alias));
typedef float dfmk_ranked_f32 __attribute__((ext_vector_type(16)));
typedef int64_t dfmk_ranked_i64 __attribute__((ext_vector_type(16)));
typedef uint64_t dfmk_ranked_u64 __attribute__((ext_vector_type(16)));
typedef int32_t dfmk_ranked_i32 __attribute__((ext_vector_type(16)));
typedef uint32_t dfmk_ranked_u32 __attribute__((ext_vector_type(16)));
typedef uint32_t dfmk_ranked_u32u __attribute__((ext_vector_type(16), aligned(1), may_alias));
typedef uint64_t dfmk_ranked_u64u __attribute__((ext_vector_type(16), aligned(1), may_alias));

/** Up to sixteen numbers, the rest of which are 0; `nan` counts down, and they are as minus infinity. */
DFMK_INLINE dfmk_ranked_f64 dfmk_ranked(const double *values, int64_t live, dfmk_ranked_i64 *nan) {
    dfmk_ranked_f64 v = 0;
    if (live >= 16)
        v = *(const dfmk_ranked_f64u *)values;
    else
        __builtin_memcpy(&v, values, (unsigned long)live * 8);
    dfmk_ranked_i64 none = v != v;
    *nan += none;
    return none ? (dfmk_ranked_f64)0 - __builtin_inf() : v;
}

/** Counts 16 bits from `shift` on, 16 or 0, of the 32-bit keys of `n` numbers whose bits above are
 * `upper`. Two counters per pattern take turns; sixteen keys of which none matches are skipped, others
 * that do not match are counted by the 32 counters after the last. */
DFMK_INLINE int64_t dfmk_count_ordered_f32(uint32_t *counts, const double *values, int64_t n,
                                           int64_t shift, uint32_t upper) {
    const dfmk_ranked_u32 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    dfmk_ranked_i64 nan = 0;
    while (n > 0) {
        uint32_t digits[DFMK_KEYS];
        int64_t m = n < DFMK_KEYS ? n : DFMK_KEYS, used = 0;
        for (int64_t i = 0; i < m; i += 16) {
            dfmk_ranked_f64 v = dfmk_ranked(values + i, m - i, &nan);
            dfmk_ranked_i32 bits = (dfmk_ranked_i32)__builtin_convertvector(v, dfmk_ranked_f32);
            dfmk_ranked_u32 k = (dfmk_ranked_u32)(bits ^ (bits >> 31 | (int32_t)0x80000000));
            dfmk_ranked_i32 match = (dfmk_ranked_i32)lane < (int32_t)(m - i < 16 ? m - i : 16);
            if (shift == 0) match &= (k >> 16) == upper;
            dfmk_ranked_u32 digit = shift == 0 ? k & 0xffff : k >> 16;
            *(dfmk_ranked_u32u *)(digits + used) = match ? digit : lane + 0x10000;
            /* Written over by the next sixteen unless one matches. */
            used += dfmk_mask_32(match) ? 16 : 0;
        }
        for (int64_t i = 0; i < used; i += 4) {
            uint64_t two, more;
            __builtin_memcpy(&two, digits + i, 8);
            __builtin_memcpy(&more, digits + i + 2, 8);
            counts[2 * (two & 0xffffffff)]++;
            counts[2 * (two >> 32) + 1]++;
            counts[2 * (more & 0xffffffff)]++;
            counts[2 * (more >> 32) + 1]++;
        }
        n -= m;
        values += m;
    }
    return -__builtin_reduce_add(nan);
}

/** Counts `bits` bits from `shift` on of the 64-bit keys of `n` numbers whose bits above are `upper`. */
DFMK_INLINE int64_t dfmk_count_ordered_f64(uint32_t *counts, const double *values, int64_t n,
                                           int64_t shift, int64_t bits, uint64_t upper) {
    const uint64_t mask = ((uint64_t)1 << bits) - 1;
    dfmk_ranked_i64 nan = 0;
    while (n > 0) {
        uint64_t keys[DFMK_KEYS];
        int64_t m = n < DFMK_KEYS ? n : DFMK_KEYS;
        for (int64_t i = 0; i < m; i += 16) {
            dfmk_ranked_i64 k = (dfmk_ranked_i64)dfmk_ranked(values + i, m - i, &nan);
            *(dfmk_ranked_u64u *)(keys + i) =
                (dfmk_ranked_u64)(k ^ (k >> 63 | (int64_t)0x8000000000000000));
        }
        for (int64_t i = 0; i < m; i++)
            /* In two steps, for a shift by the whole width is none that C knows. */
            if (keys[i] >> shift >> (bits - 1) >> 1 == upper) counts[keys[i] >> shift & mask]++;
        n -= m;
        values += m;
    }
    return -__builtin_reduce_add(nan);
}

#undef DFMK_KEYS
#undef DFMK_INLINE
#pragma clang diagnostic pop

#endif
