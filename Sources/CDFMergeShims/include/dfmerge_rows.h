#ifndef DFMERGE_ROWS_H
#define DFMERGE_ROWS_H

#include "dfmerge_random.h"

/* Choosing elements of a row by their place among its magnitudes. Keys are those of
 * dfmerge_magnitude.h, in the order of the magnitudes; here they are compared as integers with signs,
 * of which theirs is 0. Differences `d` are doubles; those that are dropped become 0, and NaN is never dropped, so that it is seen. Any
 * number `n` of elements. Plain loops, which the compiler makes vector code of. */

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"
#pragma STDC FP_CONTRACT OFF

#define DFMK_INLINE static inline __attribute__((always_inline))

/** Draws of `n` elements, the first of which is number `first` of its tensor: element
 * 32 g + 8 j + l has word j of block 8 g + l. */
DFMK_INLINE void dfmk_draws(uint32_t *out, int64_t n, uint64_t seed, uint64_t stream,
                            uint64_t first) {
    int64_t i = 0;
    while (i < n) {
        dfmk_u64x8 words[4];
        uint64_t draws[32];
        int64_t at = (int64_t)((first + (uint64_t)i) & 31);
        int64_t count = n - i < 32 - at ? n - i : 32 - at;
        dfmk_philox(words, seed, stream, (first + (uint64_t)i) >> 5 << 3);
        __builtin_memcpy(draws, words, sizeof draws);
        for (int64_t k = 0; k < count; k++) out[i + k] = (uint32_t)draws[at + k];
        i += count;
    }
}

/* For keys of one type:
 *     dfmk_keep_between_...  differences whose keys are in `low ..< high`, 0 for the others. */
#define DFMK_KEYS_OF(name, key, integer)                                                         \
    DFMK_INLINE void dfmk_keep_between_##name(double *d, const key *keys, int64_t n, key low,    \
                                              key high) {                                        \
        for (int64_t i = 0; i < n; i++) {                                                        \
            integer k = (integer)keys[i];                                                        \
            int kept = ((k >= (integer)low) & (k < (integer)high)) | (d[i] != d[i]);             \
            d[i] = kept ? d[i] : 0;                                                              \
        }                                                                                        \
    }

DFMK_KEYS_OF(u32, uint32_t, int32_t)
DFMK_KEYS_OF(u64, uint64_t, int64_t)

/** `d_i` with probability `q_i = lowest + step r_i`, `r_i` being the element's rank: where the draw is
 * below `q_i 2^32`, rounded; divided by `q_i` where it `rescales`. Otherwise 0. */
DFMK_INLINE void dfmk_keep_by_rank(double *d, const uint32_t *ranks, const uint32_t *draws,
                                   int64_t n, double lowest, double step, _Bool rescales) {
    /* Adding 2^52 rounds to a whole number, ties to even, and leaves it in the last bits. */
    for (int64_t i = 0; i < n; i++) {
        double q = lowest + (double)ranks[i] * step;
        double limit = (q * 0x1p32 + 0x1p52) - 0x1p52;
        double value = rescales ? d[i] / q : d[i];
        int kept = ((double)draws[i] < limit) | (d[i] != d[i]);
        d[i] = kept ? value : 0;
    }
}

/** Keys of `n` doubles in the order of the numbers, in their place: -0 below 0, NaN as minus infinity.
 * Where `narrow`, those of the nearest floats, in the first half. Returns how many are NaN. */
DFMK_INLINE int64_t dfmk_order_keys(void *values, int64_t n, _Bool narrow) {
    int64_t undefined = 0;
    for (int64_t i = 0; i < n; i++) {
        double v;
        __builtin_memcpy(&v, (char *)values + 8 * i, 8);
        undefined += v != v;
        v = v != v ? -__builtin_inf() : v;
        if (narrow) {
            float f = (float)v;
            int32_t bits;
            __builtin_memcpy(&bits, &f, 4);
            bits ^= (bits >> 31) & 0x7fffffff;
            __builtin_memcpy((char *)values + 4 * i, &bits, 4);
        } else {
            int64_t bits;
            __builtin_memcpy(&bits, &v, 8);
            bits ^= (bits >> 63) & 0x7fffffffffffffff;
            __builtin_memcpy((char *)values + 8 * i, &bits, 8);
        }
    }
    return undefined;
}

#undef DFMK_KEYS_OF
#undef DFMK_INLINE
#pragma clang diagnostic pop

#endif
