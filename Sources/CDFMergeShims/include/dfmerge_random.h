#ifndef DFMERGE_RANDOM_H
#define DFMERGE_RANDOM_H

#include <stdint.h>

/* Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011), eight blocks at a time: the numbers of
 * CounterRandom in DFMergeCore, bit for bit. Words are kept in the lower halves of 64-bit lanes,
 * whose upper halves hold what is left over from the multiplications. */

typedef uint64_t dfmk_u64x8 __attribute__((ext_vector_type(8)));
typedef int64_t dfmk_i64x8 __attribute__((ext_vector_type(8)));
typedef int16_t dfmk_keep16 __attribute__((ext_vector_type(8)));
typedef int32_t dfmk_keep32 __attribute__((ext_vector_type(8)));
typedef int64_t dfmk_keep64 __attribute__((ext_vector_type(8)));
typedef int16_t dfmk_keep16_u __attribute__((ext_vector_type(8), aligned(1), may_alias));
typedef int32_t dfmk_keep32_u __attribute__((ext_vector_type(8), aligned(1), may_alias));
typedef int64_t dfmk_keep64_u __attribute__((ext_vector_type(8), aligned(1), may_alias));

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"

#define DFMK_INLINE static inline __attribute__((always_inline))
#define DFMK_LOW 0xffffffffull

/** Blocks `first ..< first + 8`, `first` a multiple of eight, of a stream: word j of them in
 * `words[j]`. */
DFMK_INLINE void dfmk_philox(dfmk_u64x8 words[4], uint64_t seed, uint64_t stream,
                             uint64_t first) {
    dfmk_u64x8 lane = {0, 1, 2, 3, 4, 5, 6, 7};
    dfmk_u64x8 c0 = (first & DFMK_LOW) | lane, c1 = first >> 32;
    dfmk_u64x8 c2 = stream & DFMK_LOW, c3 = stream >> 32;
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
#pragma clang loop unroll(full)
    for (int round = 0; round < 10; round++) {
        dfmk_u64x8 p0 = (c0 & DFMK_LOW) * 0xD2511F53ull;
        dfmk_u64x8 p1 = (c2 & DFMK_LOW) * 0xCD9E8D57ull;
        c0 = (p1 >> 32) ^ c1 ^ k0;
        c1 = p1;
        c2 = (p0 >> 32) ^ c3 ^ k1;
        c3 = p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    words[0] = c0 & DFMK_LOW;
    words[1] = c1 & DFMK_LOW;
    words[2] = c2 & DFMK_LOW;
    words[3] = c3 & DFMK_LOW;
}

/* `out = keep ? x : b` for `n` elements, any number, the first of which is number `first` of its
 * tensor; `out` may be `x` or `b`. Element 32 g + 8 j + l is kept when word j of block 8 g + l is
 * below `limit`, at most 2^32. Groups of 32 that are not whole go one element at a time. */
#define DFMK_DROP(name, size, integers)                                                          \
    DFMK_INLINE int64_t name##_part(char *out, const char *x, const char *b, int64_t n,          \
                                    uint64_t seed, uint64_t stream, uint64_t first,              \
                                    uint64_t limit) {                                            \
        dfmk_u64x8 words[4];                                                                     \
        uint64_t draws[32];                                                                      \
        int64_t start = (int64_t)(first & 31), count = n < 32 - start ? n : 32 - start;          \
        dfmk_philox(words, seed, stream, (first >> 5) << 3);                                     \
        __builtin_memcpy(draws, words, sizeof draws);                                            \
        for (int64_t k = 0; k < count; k++)                                                      \
            __builtin_memmove(out + size * k, (draws[start + k] < limit ? x : b) + size * k, size);\
        return count;                                                                            \
    }                                                                                            \
    DFMK_INLINE void name(void *out, const void *x, const void *b, int64_t n, uint64_t seed,     \
                          uint64_t stream, uint64_t first, uint64_t limit) {                     \
        char *to = (char *)out;                                                                  \
        const char *from = (const char *)x, *base = (const char *)b;                             \
        int64_t i = 0;                                                                           \
        if (n > 0 && (first & 31) != 0)                                                          \
            i = name##_part(to, from, base, n, seed, stream, first, limit);                      \
        for (; n - i >= 32; i += 32) {                                                           \
            dfmk_u64x8 words[4];                                                                 \
            dfmk_philox(words, seed, stream, (first + (uint64_t)i) >> 5 << 3);                   \
            for (int j = 0; j < 4; j++) {                                                        \
                int64_t at = size * (i + 8 * j);                                                 \
                integers keep = __builtin_convertvector(                                         \
                    (dfmk_i64x8)words[j] < (int64_t)limit, integers);                            \
                integers mine = *(const integers##_u *)(from + at);                              \
                integers other = *(const integers##_u *)(base + at);                             \
                *(integers##_u *)(to + at) = (mine & keep) | (other & ~keep);                    \
            }                                                                                    \
        }                                                                                        \
        if (i < n)                                                                               \
            name##_part(to + size * i, from + size * i, base + size * i, n - i, seed, stream,    \
                        first + (uint64_t)i, limit);                                             \
    }

DFMK_DROP(dfmk_drop_16, 2, dfmk_keep16)
DFMK_DROP(dfmk_drop_32, 4, dfmk_keep32)
DFMK_DROP(dfmk_drop_64, 8, dfmk_keep64)

#undef DFMK_DROP
#undef DFMK_LOW
#undef DFMK_INLINE
#pragma clang diagnostic pop

#endif
