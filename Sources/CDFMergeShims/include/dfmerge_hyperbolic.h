#ifndef DFMERGE_HYPERBOLIC_H
#define DFMERGE_HYPERBOLIC_H

#include "dfmerge_step.h"

/* Exponentials and hyperbolic tangents of a step of doubles, from IEEE operations only, so that
 * every CPU gives the same bits, which the C library does not promise. Polynomials are formed in pairs
 * of terms, which do not wait for each other. */

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"
#pragma STDC FP_CONTRACT OFF

#define DFMK_INLINE static inline __attribute__((always_inline))

/** `e^x`. Error, relative: at most 1e-15 for x from -700 to 700; x beyond is taken for the nearer of
 * them. NaN stays NaN. */
DFMK_INLINE dfmk_doubles dfmk_exp(dfmk_doubles x) {
    x = x > 700 ? (dfmk_doubles)0 + 700 : x;
    x = x < -700 ? (dfmk_doubles)0 - 700 : x;
    /* x = k ln 2 + r: adding 1.5 * 2^52 rounds to an integer and leaves it in the last bits. ln 2 is
     * split so that k times its first part is exact. */
    const double magic = 0x1.8p52;
    dfmk_doubles t = x * 0x1.71547652b82fep+0 + magic;
    dfmk_doubles k = t - magic;
    dfmk_doubles r = (x - k * 0x1.62e42feep-1) - k * 0x1.a39ef35793c76p-33;
    /* The series of e^r, |r| <= 0.35: what is left out is below 5e-18. */
    dfmk_doubles r2 = r * r, r4 = r2 * r2;
    dfmk_doubles a = (r * (1.0 / 6.0) + 0.5) + r2 * (r * (1.0 / 120.0) + 1.0 / 24.0);
    dfmk_doubles b = (r * (1.0 / 5040.0) + 1.0 / 720.0) + r2 * (r * (1.0 / 362880.0) + 1.0 / 40320.0);
    dfmk_doubles c = (r * (1.0 / 39916800.0) + 1.0 / 3628800.0) +
                     r2 * (r * (1.0 / 6227020800.0) + 1.0 / 479001600.0);
    dfmk_doubles p = (r2 * (a + r4 * (b + r4 * c)) + r) + 1.0;
    /* Times 2^k: k is added to the exponent's bits; what is above it in t is shifted out. */
    return (dfmk_doubles)((dfmk_longs)p + ((dfmk_longs)t << 52));
}

/** `tanh x`. Error, relative: at most 2e-15, also where x is tiny. NaN stays NaN. */
DFMK_INLINE dfmk_doubles dfmk_tanh(dfmk_doubles x) {
    dfmk_doubles size = __builtin_elementwise_abs(x);
    dfmk_doubles z = x * x, z2 = z * z;
    z = size <= 1 ? z : 0;
    z2 = size <= 1 ? z2 : 0;
    dfmk_doubles above = (z * 4729725 + 34459425) + z2 * ((z * 990 + 135135) + z2);
    dfmk_doubles under = (z * 16216200 + 34459425) + z2 * ((z * 13860 + 945945) + z2 * 45);
    dfmk_doubles small = x * (above / under);
    if (__builtin_reduce_and(size <= 1)) return small;
    dfmk_doubles large = 1 - 2 / (dfmk_exp(size > 20 ? (dfmk_doubles)0 + 40 : size + size) + 1);
    large = x < 0 ? -large : large;
    return size <= 1 ? small : large;
}

#undef DFMK_INLINE
#pragma clang diagnostic pop

#endif
