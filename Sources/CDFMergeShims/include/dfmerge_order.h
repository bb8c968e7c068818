#ifndef DFMERGE_ORDER_H
#define DFMERGE_ORDER_H

#include <stdint.h>

/* The rank of every key of a row. Plain loops over words; scattered, so no vector code. */

#define DFMK_INLINE static inline __attribute__((always_inline))

/** Ranks of `n` keys, 1 or more and below 2^32, 0 the lowest; equal keys rank in the order of their
 * elements.
 *
 * `items` has room for `2 n` words, `tables` for `2 << bits` counters. Keys and element numbers are
 * sorted by the upper 2 `bits` of what the keys are above the lowest, digit by digit; the few that
 * differ in what is below only are put in order while the ranks are written. Returns whether they were
 * few; where they are not, the ranks are incomplete. */
DFMK_INLINE _Bool dfmk_rank_keys(const uint32_t *keys, int64_t n, uint32_t *ranks, uint64_t *items,
                                 uint32_t *tables, int bits) {
    const uint32_t mask = (1u << bits) - 1;
    uint32_t *lower = tables, *upper = tables + (1 << bits);
    uint32_t least = keys[0], most = keys[0];
    for (int64_t i = 0; i < n; i++) {
        least = keys[i] < least ? keys[i] : least;
        most = keys[i] > most ? keys[i] : most;
    }
    const int width = 32 - __builtin_clz((most - least) | 1);
    const int shift = width > 2 * bits ? width - 2 * bits : 0, next = shift + bits;
    __builtin_memset(tables, 0, sizeof(uint32_t) << (bits + 1));
    for (int64_t i = 0; i < n; i++) {
        uint32_t k = keys[i] - least;
        lower[k >> shift & mask]++;
        upper[k >> next & mask]++;
    }
    uint32_t before = 0, under = 0;
#pragma clang loop vectorize(disable) unroll(disable)
    for (uint32_t v = 0; v <= mask; v++) {
        uint32_t here = lower[v], there = upper[v];
        lower[v] = before;
        upper[v] = under;
        before += here;
        under += there;
    }
    for (int64_t i = 0; i < n; i++) {
        uint32_t k = keys[i] - least;
        items[lower[k >> shift & mask]++] = (uint64_t)k << 32 | (uint64_t)i;
    }
    uint64_t *sorted = items + n;
    for (int64_t i = 0; i < n; i++) {
        uint64_t item = items[i];
        sorted[upper[item >> 32 >> next & mask]++] = item;
    }
    /* With the element numbers below them, items are all different and in the order of the ranks. */
    int64_t moves = 4 * n;
    ranks[(uint32_t)sorted[0]] = 0;
    for (int64_t i = 1; i < n; i++) {
        uint64_t item = sorted[i];
        int64_t at = i;
        while (at > 0 && sorted[at - 1] > item) {
            sorted[at] = sorted[at - 1];
            ranks[(uint32_t)sorted[at]] = (uint32_t)at;
            at--;
        }
        moves -= i - at;
        if (moves < 0) return 0;
        sorted[at] = item;
        ranks[(uint32_t)item] = (uint32_t)at;
    }
    return 1;
}

#undef DFMK_INLINE

#endif
