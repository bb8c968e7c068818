#ifndef DFMERGE_STEP_H
#define DFMERGE_STEP_H

#include <stdint.h>

/* A step of elements in registers: its types, conversions between them and what Swift would make
 * calls of. See dfmerge_stream.h. */

/** Elements per step: what the registers of the CPU level hold of half a dozen operands. Results do
 * not depend on it. */
#if defined(__AVX__)
#define DFMK_STEP 16
#else
#define DFMK_STEP 8
#endif

typedef double dfmk_doubles __attribute__((ext_vector_type(DFMK_STEP)));
typedef float dfmk_floats __attribute__((ext_vector_type(DFMK_STEP)));
typedef uint64_t dfmk_longs __attribute__((ext_vector_type(DFMK_STEP)));
typedef uint32_t dfmk_words __attribute__((ext_vector_type(DFMK_STEP)));
typedef int32_t dfmk_signs __attribute__((ext_vector_type(DFMK_STEP)));
typedef uint16_t dfmk_halves __attribute__((ext_vector_type(DFMK_STEP)));
typedef int16_t dfmk_shorts __attribute__((ext_vector_type(DFMK_STEP)));
typedef double dfmk_eight __attribute__((ext_vector_type(8)));
typedef double dfmk_doubles_u __attribute__((ext_vector_type(DFMK_STEP), aligned(1), may_alias));
typedef double dfmk_eight_u __attribute__((ext_vector_type(8), aligned(1), may_alias));
typedef float dfmk_floats_u __attribute__((ext_vector_type(DFMK_STEP), aligned(1), may_alias));
typedef uint16_t dfmk_halves_u __attribute__((ext_vector_type(DFMK_STEP), aligned(1), may_alias));

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"
#pragma STDC FP_CONTRACT OFF

#define DFMK_INLINE static inline __attribute__((always_inline))

/** Doubles of the same values. */
DFMK_INLINE dfmk_doubles dfmk_widened(dfmk_floats v) {
    return __builtin_convertvector(v, dfmk_doubles);
}

/** The nearest floats. */
DFMK_INLINE dfmk_floats dfmk_narrowed(dfmk_doubles v) {
    return __builtin_convertvector(v, dfmk_floats);
}

DFMK_INLINE dfmk_floats dfmk_floats_from_bf16(dfmk_halves h) {
    return (dfmk_floats)(__builtin_convertvector(h, dfmk_words) << 16);
}

#if defined(__F16C__)
typedef _Float16 dfmk_float16s __attribute__((ext_vector_type(16)));
#endif

/** Signalling NaNs may become quiet ones, which a conversion to double would do as well. */
DFMK_INLINE dfmk_floats dfmk_floats_from_f16(dfmk_halves h) {
#if defined(__F16C__)
    return __builtin_convertvector((dfmk_float16s)h, dfmk_floats);
#else
    /* At its place in a float, but for the exponent's bias; the sign is copied to the right. */
    dfmk_signs w = (dfmk_signs)(__builtin_convertvector(h, dfmk_words) << 16) >> 3;
    dfmk_signs r = (w & (int32_t)0x8fffe000u) + 0x38000000;
    /* That is right but where the exponent is the lowest or the highest. */
    if (__builtin_expect(
            __builtin_reduce_or((dfmk_shorts)((h + 0x400) & 0x7c00) < 0x800) != 0, 0)) {
        dfmk_signs a = w & 0x0fffe000;
        /* Subnormal: as a normal number with 2^-14 added, less that; no subnormal float. */
        dfmk_floats more = (dfmk_floats)(a + 0x38800000) - 0x1p-14f;
        dfmk_signs s = a < 0x00800000 ? (dfmk_signs)more : a + 0x38000000;
        s = a >= 0x0f800000 ? a | 0x7f800000 : s;
        r = s | (w & (int32_t)0x80000000u);
    }
    return (dfmk_floats)r;
#endif
}

/** The f16 nearest to each `x`; every NaN becomes the same quiet one, but for its sign. */
DFMK_INLINE dfmk_halves dfmk_f16_from_doubles(dfmk_doubles x) {
    /* Rounded to odd at the place of a float's last bit: cut off, and that bit set if anything was.
     * The float then is exact, or so small that it becomes 0, or too large. */
    dfmk_longs bits = (dfmk_longs)x;
    dfmk_longs odd = (((bits & 0x1fffffff) + 0x1fffffff) & 0x20000000) | bits;
    dfmk_words b = (dfmk_words)dfmk_narrowed((dfmk_doubles)(odd & ~0x1fffffffull));
    dfmk_signs a = (dfmk_signs)(b & 0x7fffffffu);
#if defined(__F16C__)
    dfmk_halves h = (dfmk_halves)__builtin_convertvector((dfmk_floats)b, dfmk_float16s);
    dfmk_words nan = ((b >> 16) & 0x8000u) | 0x7e00u;
    dfmk_words r = __builtin_convertvector(h, dfmk_words);
    return __builtin_convertvector(a > 0x7f800000 ? nan : r, dfmk_halves);
#else
    dfmk_words sign = (b >> 16) & 0x8000u;
    /* Below 2^-14: adding 0.5 puts the last bit of a subnormal f16 in the float's last place. */
    dfmk_signs small = (dfmk_signs)((dfmk_floats)a + 0.5f) - 0x3f000000;
    /* 2^-14 and above: new exponent bias, then round by a carry, which also makes infinity. */
    dfmk_signs normal = (a - 0x38000000 + 0xfff + ((a >> 13) & 1)) >> 13;
    dfmk_signs infinite = (dfmk_signs)0x7c00;
    dfmk_signs r = a < 0x38800000 ? small : normal;
    r = a >= 0x47800000 ? infinite : r;
    r = a > 0x7f800000 ? infinite | 0x200 : r;
    return __builtin_convertvector((dfmk_words)r | sign, dfmk_halves);
#endif
}

/** The bf16 nearest to each `x`, by way of a float rounded to odd; NaN becomes a quiet NaN. */
DFMK_INLINE dfmk_halves dfmk_bf16_from_doubles(dfmk_doubles x) {
    dfmk_floats nearest = dfmk_narrowed(x);
    dfmk_doubles back = dfmk_widened(nearest);
    /* A true comparison is -1 in every bit. */
    dfmk_signs above = __builtin_convertvector(
        __builtin_elementwise_abs(back) > __builtin_elementwise_abs(x), dfmk_signs);
    dfmk_signs inexact = __builtin_convertvector(back != x, dfmk_signs);
    dfmk_words b = (dfmk_words)(((dfmk_signs)nearest + above) | (inexact & 1));
    dfmk_words rounded = (b + 0x7fffu + ((b >> 16) & 1u)) >> 16;
    dfmk_words quiet = (b >> 16) | 0x40u;
    return __builtin_convertvector(
        (dfmk_signs)(b & 0x7fffffffu) > 0x7f800000 ? quiet : rounded, dfmk_halves);
}

/** `v` rounded to doubles of `drop` fewer bits, where they lie. NaN may become 0. */
DFMK_INLINE dfmk_doubles dfmk_shortened(dfmk_doubles v, int drop) {
    dfmk_longs bits = (dfmk_longs)v, last = (bits >> drop) & 1;
    return (dfmk_doubles)((bits + last + ((1ull << (drop - 1)) - 1)) & ~((1ull << drop) - 1));
}

/** Whether some float `b` is not in the range of bits `low ... high`, signs aside. */
DFMK_INLINE _Bool dfmk_some_outside(dfmk_words b, uint32_t low, uint32_t high) {
    /* As integers with signs, which is what CPUs can compare: moved to the lowest of these. */
    dfmk_signs moved = (dfmk_signs)(b + b - 2 * low + 0x80000000u);
    return __builtin_reduce_or(moved > (int32_t)(2 * (high - low) + 0x80000000u)) != 0;
}

/** Square roots, rounded correctly; NaN for negative numbers. */
DFMK_INLINE dfmk_doubles dfmk_square_root(dfmk_doubles v) { return __builtin_elementwise_sqrt(v); }

/** The numbers without their signs. */
DFMK_INLINE dfmk_doubles dfmk_magnitude(dfmk_doubles v) { return __builtin_elementwise_abs(v); }

/** Whether some of `v` is 0. */
DFMK_INLINE _Bool dfmk_has_zero(dfmk_doubles v) { return __builtin_reduce_or(v == 0) != 0; }

/** Whether all of `v` lie in `[low, high]`; NaN does not. */
DFMK_INLINE _Bool dfmk_are_in(dfmk_floats v, float low, float high) {
    return __builtin_reduce_and((v >= low) & (v <= high)) != 0;
}

#undef DFMK_INLINE
#pragma clang diagnostic pop

#endif
