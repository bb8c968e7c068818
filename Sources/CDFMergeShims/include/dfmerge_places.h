#ifndef DFMERGE_PLACES_H
#define DFMERGE_PLACES_H

#include "dfmerge_masks.h"

/* The key at a place of a row, 0 the lowest, without sorting. Keys are compared as integers with signs.
 *
 * A sample of the row says between which keys the wanted one probably is; every look at the row counts
 * how many keys are up to two values, which are guessed from how many lie below and above, so that the
 * wanted key is most likely between them. Where guessing does not get on, looks cut the range in three.
 * What is left, a few keys, is compared all with all. The result depends on no guess. */

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"
#pragma STDC FP_CONTRACT OFF

#define DFMK_INLINE static inline __attribute__((always_inline))
/* Keys that are compared all with all, and those of a sample. */
#define DFMK_FEW 64

typedef uint32_t dfmk_keys_u32 __attribute__((ext_vector_type(16), aligned(1), may_alias));
typedef uint64_t dfmk_keys_u64 __attribute__((ext_vector_type(8), aligned(1), may_alias));
/* For keys of one type:
 *     dfmk_upto_...   how many keys are up to each of two values;
 *     dfmk_less_...   how many of a few keys are below each of them;
 *     dfmk_pick_...   the one at a place among them, and how many are below it;
 *     dfmk_place_...  the key at a place of `n`, and how many are below it. */
#define DFMK_PLACES_OF(name, key, integer, flags, to_mask, lanes)                                \
    DFMK_INLINE void dfmk_upto_##name(const key *keys, int64_t n, key first, key second,         \
                                      int64_t found[2]) {                                        \
        found[0] = found[1] = 0;                                                                 \
        for (int64_t start = 0; start < n; start += 1 << 20) {                                   \
            int64_t end = n - start < 1 << 20 ? n : start + (1 << 20);                           \
            integer one = 0, two = 0;                                                            \
            for (int64_t i = start; i < end; i++) {                                              \
                one += (integer)keys[i] <= (integer)first;                                       \
                two += (integer)keys[i] <= (integer)second;                                      \
            }                                                                                    \
            found[0] += (int64_t)one;                                                            \
            found[1] += (int64_t)two;                                                            \
        }                                                                                        \
    }                                                                                            \
    DFMK_INLINE void dfmk_less_##name(integer less[DFMK_FEW], const key few[DFMK_FEW],           \
                                      int64_t used) {                                            \
        for (int64_t i = 0; i < DFMK_FEW; i++) less[i] = 0;                                      \
        for (int64_t j = 0; j < used; j++)                                                       \
            for (int64_t i = 0; i < DFMK_FEW; i++) less[i] += (integer)few[j] < (integer)few[i]; \
    }                                                                                            \
    DFMK_INLINE key dfmk_pick_##name(const integer less[DFMK_FEW], const key few[DFMK_FEW],      \
                                     int64_t used, int64_t place, int64_t *below) {              \
        /* The largest of those that not more than `place` are below; equal ones are alike. */   \
        integer most = -1;                                                                       \
        key found = few[0];                                                                      \
        for (int64_t i = 0; i < used; i++) {                                                     \
            _Bool better = (less[i] <= (integer)place) & (less[i] > most);                       \
            most = better ? less[i] : most;                                                      \
            found = better ? few[i] : found;                                                     \
        }                                                                                        \
        *below = (int64_t)most;                                                                  \
        return found;                                                                            \
    }                                                                                            \
    DFMK_INLINE key dfmk_place_##name(const key *keys, int64_t n, int64_t place,                 \
                                      int64_t *under) {                                          \
        key low = 0, high = 0, few[DFMK_FEW];                                                    \
        integer less[DFMK_FEW];                                                                  \
        int64_t below = 0, upto = n, counts[2], here;                                            \
        _Bool is_bounded = 0;                                                                    \
        if (n >= 4 * DFMK_FEW) {                                                                 \
            double at = ((double)place + 0.5) / (double)n * DFMK_FEW;                            \
            double margin = 2.3 * __builtin_sqrt(at * (DFMK_FEW - at) / DFMK_FEW) + 1;           \
            int64_t from = (int64_t)(at - margin), to = (int64_t)(at + margin);                  \
            for (int64_t i = 0; i < DFMK_FEW; i++) few[i] = keys[i * (n / DFMK_FEW)];            \
            dfmk_less_##name(less, few, DFMK_FEW);                                               \
            key first = dfmk_pick_##name(less, few, DFMK_FEW, from < 0 ? 0 : from, &here);       \
            key second = dfmk_pick_##name(less, few, DFMK_FEW, to, &here);                       \
            dfmk_upto_##name(keys, n, first, second, counts);                                    \
            is_bounded = counts[0] <= place && place < counts[1];                                \
            if (is_bounded) low = first + 1, below = counts[0], high = second, upto = counts[1]; \
        }                                                                                        \
        if (!is_bounded) {                                                                       \
            low = high = keys[0];                                                                \
            for (int64_t i = 0; i < n; i++) {                                                    \
                low = (integer)keys[i] < (integer)low ? keys[i] : low;                           \
                high = (integer)keys[i] > (integer)high ? keys[i] : high;                        \
            }                                                                                    \
        }                                                                                        \
        for (int slow = 0; low != high && upto - below > DFMK_FEW;) {                            \
            key span = high - low;                                                               \
            double left = (double)(upto - below);                                                \
            double share = ((double)(place - below) + 0.5) / left;                               \
            double margin = 2 * __builtin_sqrt(share * (1 - share) / left);                      \
            double from = slow > 1 ? 1.0 / 3 : share - margin;                                   \
            double to = slow > 1 ? 2.0 / 3 : share + margin;                                     \
            key first = (key)((double)span * (from < 0 ? 0 : from));                             \
            key second = (key)((double)span * (to < 1 ? to : 1 - 0x1p-53));                      \
            first = low + (first < span ? first : span - 1);                                     \
            second = low + (second < span ? second : span - 1);                                  \
            dfmk_upto_##name(keys, n, first, second, counts);                                    \
            if (counts[0] > place) {                                                             \
                high = first, upto = counts[0];                                                  \
            } else if (counts[1] > place) {                                                      \
                low = first + 1, below = counts[0], high = second, upto = counts[1];             \
            } else {                                                                             \
                low = second + 1, below = counts[1];                                             \
            }                                                                                    \
            slow = high - low > span / 2 ? slow + 1 : 0;                                         \
        }                                                                                        \
        *under = below;                                                                          \
        if (low == high) return low;                                                             \
        int64_t used = 0, i = 0;                                                                 \
        for (; n - i >= lanes; i += lanes) {                                                     \
            flags v = (flags)*(const dfmk_keys_##name *)(keys + i);                              \
            uint32_t mask = to_mask((v >= (integer)low) & (v <= (integer)high));                 \
            for (; mask; mask &= mask - 1) few[used++] = keys[i + __builtin_ctz(mask)];          \
        }                                                                                        \
        for (; i < n; i++)                                                                       \
            if ((integer)keys[i] >= (integer)low && (integer)keys[i] <= (integer)high)           \
                few[used++] = keys[i];                                                           \
        for (i = used; i < DFMK_FEW; i++) few[i] = low;                                          \
        dfmk_less_##name(less, few, used);                                                       \
        key found = dfmk_pick_##name(less, few, used, place - below, &here);                     \
        *under = below + here;                                                                   \
        return found;                                                                            \
    }

DFMK_PLACES_OF(u32, uint32_t, int32_t, dfmk_flags_32, dfmk_mask_32, 16)
DFMK_PLACES_OF(u64, uint64_t, int64_t, dfmk_flags_64, dfmk_mask_64, 8)

#undef DFMK_PLACES_OF
#undef DFMK_FEW
#undef DFMK_INLINE
#pragma clang diagnostic pop

#endif
