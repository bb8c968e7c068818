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
 * tensor; `out` may be `x` or `b`. Element 32 g + 8 j + l is kept when word j of block 8 g + l is below
 * `limit`, at most 2^32. */
#define DFMK_DROP(name, type, integers)                                                          \
    DFMK_INLINE void name(void *out, const void *x, const void *b, int64_t n, uint64_t seed,     \
                          uint64_t stream, uint64_t first, uint64_t limit) {                     \
        char *to = (char *)out;                                                                  \
        const char *from = (const char *)x, *base = (const char *)b;                             \
        int64_t i = 0;                                                                           \
        while (i < n) {                                                                          \
            uint64_t element = first + (uint64_t)i;                                              \
            int64_t start = (int64_t)(element & 31);                                             \
            dfmk_u64x8 words[4];                                                                 \
            dfmk_philox(words, seed, stream, (element >> 5) << 3);                               \
            if (start == 0 && n - i >= 32) {                                                     \
                for (int j = 0; j < 4; j++) {                                                    \
                    int64_t at = (i + 8 * j) * (int64_t)sizeof(type);                            \
                    integers keep = __builtin_convertvector(                                     \
                        (dfmk_i64x8)words[j] < (int64_t)limit, integers);                        \
                    integers mine = *(const integers##_u *)(from + at);                           \
                    integers other = *(const integers##_u *)(base + at);                          \
                    *(integers##_u *)(to + at) = (mine & keep) | (other & ~keep);                 \
                }                                                                                \
                i += 32;                                                                         \
            } else {                                                                             \
                for (int64_t k = start; k < 32 && i < n; k++, i++) {                             \
                    const char *chosen = words[k >> 3][k & 7] < limit ? from : base;             \
                    __builtin_memmove(to + i * (int64_t)sizeof(type),                            \
                                      chosen + i * (int64_t)sizeof(type), sizeof(type));         \
                }                                                                                \
            }                                                                                    \
        }                                                                                        \
    }

DFMK_DROP(dfmk_drop_16, int16_t, dfmk_keep16)
DFMK_DROP(dfmk_drop_32, int32_t, dfmk_keep32)
DFMK_DROP(dfmk_drop_64, int64_t, dfmk_keep64)

#undef DFMK_DROP
#undef DFMK_LOW
#undef DFMK_INLINE
#pragma clang diagnostic pop

#endif
