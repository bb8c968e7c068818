#ifndef DFMERGE_STREAM_H
#define DFMERGE_STREAM_H

#include <stdint.h>

#include "dfmerge_step.h"

/* A step of elements at a time between memory and registers: any element type to double and back.
 *
 * The element type is looked at in every step. All steps of a call take the same branch, so that
 * costs nothing that can be measured, and every mix of types runs at the speed of its loads. What
 * a step notices about the elements goes into a tally, which stays in registers too. C, and here,
 * for the reasons that dfmerge_convert.h gives. Addresses may be unaligned. */

enum { DFMK_F32 = 0, DFMK_BF16 = 1, DFMK_F16 = 2, DFMK_F64 = 3 };

/** Elements to read; no address where there are none. */
typedef struct {
    const char *start;
    int32_t type;
    /** How far ahead of the loads memory is asked for, in bytes. Any distance will do. */
    int32_t ahead;
} dfmk_input;

/** Elements to write. */
typedef struct {
    char *start;
    int32_t type;
    /** Whether stores go past the caches. `start` is then a multiple of 64. */
    int32_t streams;
    /** How many elements are real: fewer than are computed where a step was filled up. */
    int64_t live;
} dfmk_output;

/** What a loop knows of one model. Loops use what their formula has. */
typedef struct {
    dfmk_input x;
    /** Fisher values; those of the upper node have no address where there is none. */
    dfmk_input lower, upper;
    double fraction;
    /** Coefficient or weight. */
    double factor;
    double floor;
} dfmk_model;

/** What a loop noticed, lane by lane. Arrays, for Swift does not know the alignment of vectors. */
typedef struct {
    /** Squares of what rounding changed, and of what was rounded: eight sums that take turns. */
    double error[8], value[8];
    /** 0, or NaN where something stored is NaN or infinite. */
    float stored[DFMK_STEP];
    /** The lowest of 0 and the Fisher values; NaN is not among them. */
    float lowest[DFMK_STEP];
} dfmk_tally;

/** What a loop noticed: StoreOutcome of DFMergeKernels. */
typedef struct {
    double error, value;
    int64_t non_finite, negative_fisher;
} dfmk_noticed;

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"
#pragma STDC FP_CONTRACT OFF

#define DFMK_INLINE static inline __attribute__((always_inline))

/** Notices NaN and infinity among the elements stored: 0 times these is NaN. */
DFMK_INLINE void dfmk_notice(dfmk_tally *tally, dfmk_floats stored) {
    *(dfmk_floats_u *)tally->stored += stored * 0.0f;
}

/** Adds the elements of `v` to eight sums in turn. */
DFMK_INLINE dfmk_eight dfmk_added(dfmk_eight sums, dfmk_doubles v) {
#if DFMK_STEP == 8
    return sums + v;
#else
    sums += __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
    return sums + __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
#endif
}

DFMK_INLINE void dfmk_add(double *sums, dfmk_doubles v) {
    *(dfmk_eight_u *)sums = dfmk_added(*(dfmk_eight_u *)sums, v);
}

/* --- loads ---------- */

DFMK_INLINE const char *dfmk_ask(dfmk_input in, int64_t offset) {
    const char *p = in.start + offset;
    __builtin_prefetch(p + in.ahead, 0, 3);
    return p;
}

DFMK_INLINE dfmk_floats dfmk_load_floats(dfmk_input in, int64_t i) {
    return *(const dfmk_floats_u *)dfmk_ask(in, 4 * i);
}

DFMK_INLINE dfmk_halves dfmk_load_halves(dfmk_input in, int64_t i) {
    return *(const dfmk_halves_u *)dfmk_ask(in, 2 * i);
}

DFMK_INLINE dfmk_doubles dfmk_load_doubles(dfmk_input in, int64_t i) {
    return *(const dfmk_doubles_u *)dfmk_ask(in, 8 * i);
}

/** Elements `i ..< i + DFMK_STEP` as floats; not for F64. */
DFMK_INLINE dfmk_floats dfmk_load_narrow(dfmk_input in, int64_t i) {
    if (in.type == DFMK_F32) return dfmk_load_floats(in, i);
    dfmk_halves h = dfmk_load_halves(in, i);
    return in.type == DFMK_BF16 ? dfmk_floats_from_bf16(h) : dfmk_floats_from_f16(h);
}

/** Elements `i ..< i + DFMK_STEP`. */
DFMK_INLINE dfmk_doubles dfmk_load(dfmk_input in, int64_t i) {
    if (in.type == DFMK_F64) return dfmk_load_doubles(in, i);
    return dfmk_widened(dfmk_load_narrow(in, i));
}

/** Elements `i ..< i + DFMK_STEP`, which are Fisher values, as floats; not for F64. Negative ones
 * are noticed here; NaN and infinity turn up in the result. */
DFMK_INLINE dfmk_floats dfmk_load_narrow_fisher(dfmk_input in, int64_t i, dfmk_tally *tally) {
    dfmk_floats_u *lowest = (dfmk_floats_u *)tally->lowest;
    dfmk_floats v = dfmk_load_narrow(in, i), before = *lowest;
    *lowest = v < before ? v : before;
    return v;
}

/** Elements `i ..< i + DFMK_STEP`, which are Fisher values; see above. */
DFMK_INLINE dfmk_doubles dfmk_load_fisher(dfmk_input in, int64_t i, dfmk_tally *tally) {
    if (in.type != DFMK_F64) return dfmk_widened(dfmk_load_narrow_fisher(in, i, tally));
    dfmk_doubles v = dfmk_load_doubles(in, i);
    /* Not by a conversion, which would make -0 of a tiny number. */
    dfmk_signs negative = __builtin_convertvector(v < 0, dfmk_signs);
    dfmk_floats_u *lowest = (dfmk_floats_u *)tally->lowest;
    *lowest = negative ? (dfmk_floats)-1.0f : (dfmk_floats)*lowest;
    return v;
}

/* --- stores ---------- */

#define DFMK_PUT(out, offset, type, v)                                                           \
    do {                                                                                         \
        char *to = (out).start + (offset);                                                       \
        if ((out).streams)                                                                       \
            __builtin_nontemporal_store(v, (type *)to);                                          \
        else                                                                                     \
            *(type##_u *)to = (v);                                                               \
    } while (0)

/** `v` where the element is real, else 0; its first element is number `i`. */
DFMK_INLINE dfmk_doubles dfmk_real(dfmk_output out, int64_t i, dfmk_doubles v) {
    if (__builtin_expect(out.live - i < DFMK_STEP, 0))
        for (int k = 0; k < DFMK_STEP; k++) v[k] = i + k < out.live ? v[k] : 0;
    return v;
}

/** Adds the squares of what rounding changed and of what was rounded. */
DFMK_INLINE void dfmk_add_error(dfmk_output out, int64_t i, dfmk_doubles stored,
                                dfmk_doubles exact, dfmk_tally *tally) {
    dfmk_add(tally->error, dfmk_real(out, i, (stored - exact) * (stored - exact)));
    dfmk_add(tally->value, dfmk_real(out, i, exact * exact));
}

/* Both short types are rounded as doubles first, which is right where all results are normal
 * numbers, the rule. 0 is not counted among them. */

DFMK_INLINE void dfmk_store_bf16(dfmk_output out, int64_t i, dfmk_doubles v, dfmk_tally *tally) {
    dfmk_doubles rounded = dfmk_shortened(v, 45);
    dfmk_words b = (dfmk_words)dfmk_narrowed(rounded);
    /* With the sign, for CPUs that narrow such integers only. */
    dfmk_halves h = (dfmk_halves)__builtin_convertvector((dfmk_signs)b >> 16, dfmk_shorts);
    if (__builtin_expect(dfmk_some_outside(b, 0x00800000, 0x7f7fffff), 0)) {
        h = dfmk_bf16_from_doubles(v);
        dfmk_floats f = dfmk_floats_from_bf16(h);
        rounded = dfmk_widened(f);
        dfmk_notice(tally, f);
    }
    dfmk_add_error(out, i, rounded, v, tally);
    DFMK_PUT(out, 2 * i, dfmk_halves, h);
}

DFMK_INLINE void dfmk_store_f16(dfmk_output out, int64_t i, dfmk_doubles v, dfmk_tally *tally) {
    dfmk_doubles rounded = dfmk_shortened(v, 42);
    dfmk_words b = (dfmk_words)dfmk_narrowed(rounded);
#if defined(__F16C__)
    dfmk_halves h = (dfmk_halves)__builtin_convertvector((dfmk_floats)b, dfmk_float16s);
#else
    dfmk_signs sign = (dfmk_signs)b >> 16 & -0x8000;
    dfmk_signs rest = (dfmk_signs)((b & 0x7fffffffu) - 0x38000000u) >> 13;
    dfmk_halves h = (dfmk_halves)__builtin_convertvector(rest | sign, dfmk_shorts);
#endif
    if (__builtin_expect(dfmk_some_outside(b, 0x38800000, 0x477fe000), 0)) {
        h = dfmk_f16_from_doubles(v);
        dfmk_floats f = dfmk_floats_from_f16(h);
        rounded = dfmk_widened(f);
        dfmk_notice(tally, f);
    }
    dfmk_add_error(out, i, rounded, v, tally);
    DFMK_PUT(out, 2 * i, dfmk_halves, h);
}

/** Stores `v` as elements `i ..< i + DFMK_STEP`, each rounded once, to nearest, ties to even. */
DFMK_INLINE void dfmk_store(dfmk_output out, int64_t i, dfmk_doubles v, dfmk_tally *tally) {
    if (out.type == DFMK_F32) {
        dfmk_floats f = dfmk_narrowed(v);
        dfmk_notice(tally, f);
        DFMK_PUT(out, 4 * i, dfmk_floats, f);
    } else if (out.type == DFMK_BF16) {
        dfmk_store_bf16(out, i, v, tally);
    } else if (out.type == DFMK_F16) {
        dfmk_store_f16(out, i, v, tally);
    } else {
        dfmk_notice(tally, dfmk_narrowed(v * 0.0));
#if DFMK_STEP == 8
        DFMK_PUT(out, 8 * i, dfmk_eight, v);
#else
        dfmk_eight low = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
        dfmk_eight high = __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
        DFMK_PUT(out, 8 * i, dfmk_eight, low);
        DFMK_PUT(out, 8 * i + 64, dfmk_eight, high);
#endif
    }
}

/** Copies elements `i ..< i + DFMK_STEP` bit by bit, between the same types. */
DFMK_INLINE void dfmk_copy(dfmk_input in, dfmk_output out, int64_t i, dfmk_tally *tally) {
    if (out.type == DFMK_F64) {
        dfmk_store(out, i, dfmk_load_doubles(in, i), tally);
        return;
    }
    dfmk_floats f;
    if (out.type == DFMK_F32) {
        f = dfmk_load_floats(in, i);
        DFMK_PUT(out, 4 * i, dfmk_floats, f);
    } else {
        dfmk_halves h = dfmk_load_halves(in, i);
        f = out.type == DFMK_BF16 ? dfmk_floats_from_bf16(h) : dfmk_floats_from_f16(h);
        dfmk_doubles v = dfmk_widened(f);
        dfmk_add(tally->value, dfmk_real(out, i, v * v));
        DFMK_PUT(out, 2 * i, dfmk_halves, h);
    }
    dfmk_notice(tally, f);
}

/* --- what was noticed ---------- */

DFMK_INLINE double dfmk_sum(const double *a) {
    return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
}

/** Adds a tally to what was noticed before; whoever waits for the stores sees them from now on. */
DFMK_INLINE void dfmk_finish(dfmk_output out, const dfmk_tally *tally, dfmk_noticed *noticed) {
#if defined(__x86_64__)
    if (out.streams) __builtin_ia32_sfence();
#endif
    noticed->error += dfmk_sum(tally->error);
    noticed->value += dfmk_sum(tally->value);
    dfmk_floats stored = *(const dfmk_floats_u *)tally->stored;
    dfmk_floats lowest = *(const dfmk_floats_u *)tally->lowest;
    noticed->non_finite |= __builtin_reduce_or(stored != stored) != 0;
    noticed->negative_fisher |= __builtin_reduce_or(lowest < 0) != 0;
}

#undef DFMK_PUT
#undef DFMK_INLINE
#pragma clang diagnostic pop

#endif
