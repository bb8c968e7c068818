#ifndef DFMERGE_MAGNITUDE_H
#define DFMERGE_MAGNITUDE_H

#include "dfmerge_masks.h"

/* Counting the magnitudes |x - b| by a few of their bits, which is how order statistics are found
 * without sorting. The bits of a number that is not negative grow with it, so they serve as a key:
 * 31 of them for the float nearest to x - b, 63 for a double. A NaN has the key 0; how many there
 * were is returned. Addresses may be unaligned.
 *
 * Keys are made sixteen (eight) at a time and kept in a small buffer, then counted one by one. */

typedef float dfmk_f32x16 __attribute__((ext_vector_type(16)));
typedef int32_t dfmk_i32x16 __attribute__((ext_vector_type(16)));
typedef uint32_t dfmk_u32x16 __attribute__((ext_vector_type(16)));
typedef uint16_t dfmk_u16x16u __attribute__((ext_vector_type(16), aligned(1), may_alias));
typedef float dfmk_f32x16u __attribute__((ext_vector_type(16), aligned(1), may_alias));
typedef uint32_t dfmk_u32x16u __attribute__((ext_vector_type(16), aligned(1), may_alias));
typedef uint16_t dfmk_u16x16 __attribute__((ext_vector_type(16)));
typedef double dfmk_key_f64x8 __attribute__((ext_vector_type(8)));
typedef float dfmk_key_f32x8 __attribute__((ext_vector_type(8)));
typedef int64_t dfmk_key_i64x8 __attribute__((ext_vector_type(8)));
typedef uint64_t dfmk_key_u64x8 __attribute__((ext_vector_type(8)));
typedef double dfmk_key_f64x8u __attribute__((ext_vector_type(8), aligned(1), may_alias));
typedef uint64_t dfmk_key_u64x8u __attribute__((ext_vector_type(8), aligned(1), may_alias));

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"
#pragma STDC FP_CONTRACT OFF

#define DFMK_INLINE static inline __attribute__((always_inline))
/* Elements whose keys are made before they are counted, a multiple of 16. */
#define DFMK_KEYS 256

/** The keys of sixteen floats; `nan` counts down by one where there is none, whose key is 0. */
DFMK_INLINE dfmk_u32x16 dfmk_keys_f32(dfmk_f32x16 x, dfmk_f32x16 b, dfmk_i32x16 *nan) {
    dfmk_f32x16 d = x - b;
    dfmk_i32x16 none = d != d;
    *nan += none;
    return (dfmk_u32x16)((dfmk_i32x16)d & 0x7fffffff & ~none);
}

/** The keys of eight doubles, of the floats nearest to x - b where `rounds`; see above. */
DFMK_INLINE dfmk_key_u64x8 dfmk_keys_f64(dfmk_key_f64x8 x, dfmk_key_f64x8 b, _Bool rounds,
                                         dfmk_key_i64x8 *nan) {
    dfmk_key_f64x8 d = x - b;
    if (rounds)
        d = __builtin_convertvector(__builtin_convertvector(d, dfmk_key_f32x8), dfmk_key_f64x8);
    dfmk_key_i64x8 none = d != d;
    *nan += none;
    return (dfmk_key_u64x8)((dfmk_key_i64x8)d & 0x7fffffffffffffff & ~none);
}

/** Keys of `n` floats, any number, into `keys`; returns how many are NaN. */
DFMK_INLINE int64_t dfmk_magnitudes_f32(uint32_t *keys, const void *x, const void *b, int64_t n) {
    const char *from = (const char *)x, *base = (const char *)b;
    dfmk_i32x16 nan = 0;
    int64_t i = 0;
    for (; n - i >= 16; i += 16)
        *(dfmk_u32x16u *)(keys + i) = dfmk_keys_f32(
            *(const dfmk_f32x16u *)(from + 4 * i), *(const dfmk_f32x16u *)(base + 4 * i), &nan);
    if (i < n) {
        dfmk_f32x16 last = 0, under = 0;
        __builtin_memcpy(&last, from + 4 * i, (unsigned long)(n - i) * 4);
        __builtin_memcpy(&under, base + 4 * i, (unsigned long)(n - i) * 4);
        dfmk_u32x16 k = dfmk_keys_f32(last, under, &nan);
        __builtin_memcpy(keys + i, &k, (unsigned long)(n - i) * 4);
    }
    return -(int64_t)__builtin_reduce_add(nan);
}

/** Keys of `n` doubles, any number, into `keys`; returns how many are NaN. */
DFMK_INLINE int64_t dfmk_magnitudes_f64(uint64_t *keys, const void *x, const void *b, int64_t n,
                                        _Bool rounds) {
    const char *from = (const char *)x, *base = (const char *)b;
    dfmk_key_i64x8 nan = 0;
    int64_t i = 0;
    for (; n - i >= 8; i += 8)
        *(dfmk_key_u64x8u *)(keys + i) =
            dfmk_keys_f64(*(const dfmk_key_f64x8u *)(from + 8 * i),
                          *(const dfmk_key_f64x8u *)(base + 8 * i), rounds, &nan);
    if (i < n) {
        dfmk_key_f64x8 last = 0, under = 0;
        __builtin_memcpy(&last, from + 8 * i, (unsigned long)(n - i) * 8);
        __builtin_memcpy(&under, base + 8 * i, (unsigned long)(n - i) * 8);
        dfmk_key_u64x8 k = dfmk_keys_f64(last, under, rounds, &nan);
        __builtin_memcpy(keys + i, &k, (unsigned long)(n - i) * 8);
    }
    return -__builtin_reduce_add(nan);
}

/** Counts the upper 15 bits of the keys of `n` floats. Every bit pattern has two counters, which
 * take turns: numbers that are alike often follow each other, and a counter that has just been
 * written is slow to read. */
DFMK_INLINE int64_t dfmk_count_upper_f32(uint32_t *counts, const void *x, const void *b,
                                         int64_t n) {
    const char *from = (const char *)x, *base = (const char *)b;
    int64_t found = 0;
    while (n > 0) {
        uint16_t digits[DFMK_KEYS];
        int64_t m = n < DFMK_KEYS ? n : DFMK_KEYS, i = 0;
        dfmk_i32x16 nan = 0;
        for (; m - i >= 16; i += 16) {
            dfmk_u32x16 k = dfmk_keys_f32(*(const dfmk_f32x16u *)(from + 4 * i),
                                          *(const dfmk_f32x16u *)(base + 4 * i), &nan);
            *(dfmk_u16x16u *)(digits + i) = __builtin_convertvector(k >> 16, dfmk_u16x16);
        }
        if (i < m) {
            dfmk_f32x16 last = 0, under = 0;
            __builtin_memcpy(&last, from + 4 * i, (unsigned long)(m - i) * 4);
            __builtin_memcpy(&under, base + 4 * i, (unsigned long)(m - i) * 4);
            dfmk_u32x16 k = dfmk_keys_f32(last, under, &nan);
            *(dfmk_u16x16u *)(digits + i) = __builtin_convertvector(k >> 16, dfmk_u16x16);
        }
        for (i = 0; m - i >= 4; i += 4) {
            uint64_t four;
            __builtin_memcpy(&four, digits + i, 8);
            counts[2 * (four & 0xffff)]++;
            counts[2 * (four >> 16 & 0xffff) + 1]++;
            counts[2 * (four >> 32 & 0xffff)]++;
            counts[2 * (four >> 48) + 1]++;
        }
        for (; i < m; i++) counts[2 * (uint64_t)digits[i]]++;
        found -= __builtin_reduce_add(nan);
        n -= m;
        from += 4 * m;
        base += 4 * m;
    }
    return found;
}

/** Counts the lower 16 bits of those keys of `n` floats whose upper 15 bits are `upper`. Sixteen of
 * which none matches are skipped; of others, those that do not match are counted too, without a
 * branch, by counters after the last: there may be many, for differences of 16-bit floats take few
 * values. Two counters take turns, as above. */
DFMK_INLINE int64_t dfmk_count_lower_f32(uint32_t *counts, const void *x, const void *b, int64_t n,
                                         uint32_t upper) {
    const char *from = (const char *)x, *base = (const char *)b;
    const dfmk_u32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    int64_t found = 0;
    while (n > 0) {
        uint32_t digits[DFMK_KEYS];
        int64_t m = n < DFMK_KEYS ? n : DFMK_KEYS, used = 0;
        dfmk_i32x16 nan = 0;
        for (int64_t i = 0; i < m; i += 16) {
            int64_t here = m - i < 16 ? m - i : 16;
            dfmk_f32x16 v = 0, under = 0;
            if (here == 16) {
                v = *(const dfmk_f32x16u *)(from + 4 * i);
                under = *(const dfmk_f32x16u *)(base + 4 * i);
            } else {
                __builtin_memcpy(&v, from + 4 * i, (unsigned long)here * 4);
                __builtin_memcpy(&under, base + 4 * i, (unsigned long)here * 4);
            }
            dfmk_u32x16 k = dfmk_keys_f32(v, under, &nan);
            dfmk_i32x16 match = ((k >> 16) == upper) & ((dfmk_i32x16)lane < (int32_t)here);
            *(dfmk_u32x16u *)(digits + used) = match ? k & 0xffff : lane + 0x10000;
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
        found -= __builtin_reduce_add(nan);
        n -= m;
        from += 4 * m;
        base += 4 * m;
    }
    return found;
}

/** Counts the 21 bits from `shift` on of those keys of `n` doubles whose bits above are `upper`. */
DFMK_INLINE int64_t dfmk_count_f64(uint32_t *counts, const void *x, const void *b, int64_t n,
                                   int64_t shift, uint64_t upper, _Bool rounds) {
    const char *from = (const char *)x, *base = (const char *)b;
    int64_t found = 0;
    while (n > 0) {
        uint64_t keys[DFMK_KEYS];
        int64_t m = n < DFMK_KEYS ? n : DFMK_KEYS;
        found += dfmk_magnitudes_f64(keys, from, base, m, rounds);
        for (int64_t i = 0; i < m; i++)
            /* In two steps, for a shift by 63 bits and one more is none that C knows. */
            if (keys[i] >> shift >> 21 == upper) counts[keys[i] >> shift & 0x1fffff]++;
        n -= m;
        from += 8 * m;
        base += 8 * m;
    }
    return found;
}

#undef DFMK_KEYS
#undef DFMK_INLINE
#pragma clang diagnostic pop

#endif
