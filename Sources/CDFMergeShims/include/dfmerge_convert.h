#ifndef DFMERGE_CONVERT_H
#define DFMERGE_CONVERT_H

#include <stdint.h>

/* Conversions between the element types that are merged. They are C because Swift's own SIMD
 * conversions leave weak copies that the linker may share between builds for different CPUs;
 * `static inline` functions are local to each object. Addresses may be unaligned.
 *
 * bf16 and f16 come from a double by way of a float rounded to odd: that keeps what the second
 * rounding needs to know, so the result is the double rounded once, to nearest, ties to even. */

typedef double dfmk_f64x8 __attribute__((ext_vector_type(8)));
typedef float dfmk_f32x8 __attribute__((ext_vector_type(8)));
typedef int32_t dfmk_i32x8 __attribute__((ext_vector_type(8)));
typedef uint32_t dfmk_u32x8 __attribute__((ext_vector_type(8)));
typedef uint16_t dfmk_u16x8 __attribute__((ext_vector_type(8)));
typedef double dfmk_f64x8u __attribute__((ext_vector_type(8), aligned(1), may_alias));
typedef float dfmk_f32x8u __attribute__((ext_vector_type(8), aligned(1), may_alias));
typedef uint16_t dfmk_u16x8u __attribute__((ext_vector_type(8), aligned(1), may_alias));

/* Every function is inlined, so no vector is passed by any calling convention. */
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"

/* No product is fused with a sum where the CPU could: every level gives the same bits. */
#pragma STDC FP_CONTRACT OFF

#define DFMK_INLINE static inline __attribute__((always_inline))

/* A cast between vectors of one size keeps the bits; __builtin_convertvector keeps the values. */

/** Eight doubles from `p`. */
DFMK_INLINE dfmk_f64x8 dfmk_load_f64x8(const void *p) { return *(const dfmk_f64x8u *)p; }

/** Eight floats from `p`, as doubles (exact). */
DFMK_INLINE dfmk_f64x8 dfmk_load_f32x8(const void *p) {
    return __builtin_convertvector(*(const dfmk_f32x8u *)p, dfmk_f64x8);
}

/** Eight doubles to `p`, rounded to floats. */
DFMK_INLINE void dfmk_store_f32x8(void *p, dfmk_f64x8 v) {
    *(dfmk_f32x8u *)p = __builtin_convertvector(v, dfmk_f32x8);
}

/** Asks for the memory at `p` to be brought near; any address will do. */
DFMK_INLINE void dfmk_prefetch(const void *p) { __builtin_prefetch(p, 0, 3); }

/** Eight square roots, rounded correctly; NaN for negative numbers. Not a conversion, but Swift's
 * own makes eight calls of it; the tests below are here for the same reason. */
DFMK_INLINE dfmk_f64x8 dfmk_sqrt_f64x8(dfmk_f64x8 v) { return __builtin_elementwise_sqrt(v); }

/** Whether all of `v` lie in `[low, high]`; NaN does not. */
DFMK_INLINE _Bool dfmk_all_in(dfmk_f64x8 v, double low, double high) {
    return __builtin_reduce_and((v >= low) & (v <= high)) != 0;
}

/** Whether some of `v` is 0. */
DFMK_INLINE _Bool dfmk_any_zero(dfmk_f64x8 v) { return __builtin_reduce_or(v == 0) != 0; }

/** bf16 as float (exact). */
DFMK_INLINE dfmk_f32x8 dfmk_widen_bf16(dfmk_u16x8 h) {
    return (dfmk_f32x8)(__builtin_convertvector(h, dfmk_u32x8) << 16);
}

/** f16 as float (exact). */
DFMK_INLINE dfmk_f32x8 dfmk_widen_f16(dfmk_u16x8 h) {
    dfmk_u32x8 wide = __builtin_convertvector(h, dfmk_u32x8);
    dfmk_i32x8 a = (dfmk_i32x8)((wide & 0x7fffu) << 13);
    dfmk_i32x8 normal = a + 0x38000000;
    /* Subnormal: as a normal number with 2^-14 added, less that; no subnormal float on the way. */
    dfmk_f32x8 more = (dfmk_f32x8)(a + 0x38800000) - 0x1p-14f;
    dfmk_i32x8 r = a < 0x00800000 ? (dfmk_i32x8)more : normal;
    r = a >= 0x0f800000 ? a | 0x7f800000 : r;
    return (dfmk_f32x8)((dfmk_u32x8)r | (wide & 0x8000u) << 16);
}

/** The bits of `x` as a float rounded to odd: cut off, and the last bit set if that is inexact. */
DFMK_INLINE dfmk_u32x8 dfmk_odd(dfmk_f64x8 x) {
    dfmk_f32x8 nearest = __builtin_convertvector(x, dfmk_f32x8);
    dfmk_f64x8 back = __builtin_convertvector(nearest, dfmk_f64x8);
    /* A true comparison is -1 in every bit. */
    dfmk_i32x8 above = __builtin_convertvector(
        __builtin_elementwise_abs(back) > __builtin_elementwise_abs(x), dfmk_i32x8);
    dfmk_i32x8 inexact = __builtin_convertvector(back != x, dfmk_i32x8);
    dfmk_i32x8 bits = (dfmk_i32x8)nearest;
    return (dfmk_u32x8)((bits + above) | (inexact & 1));
}

/** bf16 nearest to `x`; NaN becomes a quiet NaN. */
DFMK_INLINE dfmk_u16x8 dfmk_narrow_bf16(dfmk_f64x8 x) {
    dfmk_u32x8 b = dfmk_odd(x);
    dfmk_u32x8 rounded = (b + 0x7fffu + ((b >> 16) & 1u)) >> 16;
    dfmk_i32x8 a = (dfmk_i32x8)(b & 0x7fffffffu);
    dfmk_u32x8 quiet = (b >> 16) | 0x40u;
    return __builtin_convertvector(a > 0x7f800000 ? quiet : rounded, dfmk_u16x8);
}

/** f16 nearest to `x`; NaN becomes a quiet NaN. */
DFMK_INLINE dfmk_u16x8 dfmk_narrow_f16(dfmk_f64x8 x) {
    dfmk_u32x8 b = dfmk_odd(x);
    dfmk_u32x8 sign = (b >> 16) & 0x8000u;
    dfmk_i32x8 a = (dfmk_i32x8)(b & 0x7fffffffu);
    /* Below 2^-14: adding 0.5 puts the last bit of a subnormal f16 in the float's last place. */
    dfmk_i32x8 small =
        (dfmk_i32x8)((dfmk_f32x8)a + 0.5f) - 0x3f000000;
    /* 2^-14 and above: new exponent bias, then round by a carry, which also makes infinity. */
    dfmk_i32x8 normal = (a - 0x38000000 + 0xfff + ((a >> 13) & 1)) >> 13;
    dfmk_i32x8 r = a < 0x38800000 ? small : normal;
    dfmk_i32x8 infinite = (dfmk_i32x8)0x7c00;
    r = a >= 0x47800000 ? infinite : r;
    r = a > 0x7f800000 ? infinite | 0x200 : r;
    return __builtin_convertvector((dfmk_u32x8)r | sign, dfmk_u16x8);
}

/* Arrays: `n` elements from `in` to `out`, which do not overlap. The last, incomplete vector goes
 * through copies on the stack, so that there is one way to compute a result. */

#define DFMK_CONVERT(name, out_type, in_type, expression)                                        \
    DFMK_INLINE void name(void *out, const void *in, int64_t n) {                                \
        char *to = (char *)out;                                                                  \
        const char *from = (const char *)in;                                                     \
        for (; n >= 8; n -= 8, to += sizeof(out_type), from += sizeof(in_type)) {                \
            in_type x = *(const in_type##u *)from;                                               \
            __builtin_prefetch(from + 1024, 0, 3);                                               \
            *(out_type##u *)to = (expression);                                                   \
        }                                                                                        \
        if (n > 0) {                                                                             \
            in_type x = 0;                                                                       \
            __builtin_memcpy(&x, from, (unsigned long)n * (sizeof x / 8));                       \
            out_type y = (expression);                                                           \
            __builtin_memcpy(to, &y, (unsigned long)n * (sizeof y / 8));                         \
        }                                                                                        \
    }

DFMK_CONVERT(dfmk_f32_from_bf16, dfmk_f32x8, dfmk_u16x8, dfmk_widen_bf16(x))
DFMK_CONVERT(dfmk_f32_from_f16, dfmk_f32x8, dfmk_u16x8, dfmk_widen_f16(x))
DFMK_CONVERT(dfmk_f64_from_bf16, dfmk_f64x8, dfmk_u16x8,
             __builtin_convertvector(dfmk_widen_bf16(x), dfmk_f64x8))
DFMK_CONVERT(dfmk_f64_from_f16, dfmk_f64x8, dfmk_u16x8,
             __builtin_convertvector(dfmk_widen_f16(x), dfmk_f64x8))
DFMK_CONVERT(dfmk_f64_from_f32, dfmk_f64x8, dfmk_f32x8, __builtin_convertvector(x, dfmk_f64x8))
DFMK_CONVERT(dfmk_f32_from_f64, dfmk_f32x8, dfmk_f64x8, __builtin_convertvector(x, dfmk_f32x8))
DFMK_CONVERT(dfmk_bf16_from_f64, dfmk_u16x8, dfmk_f64x8, dfmk_narrow_bf16(x))
DFMK_CONVERT(dfmk_f16_from_f64, dfmk_u16x8, dfmk_f64x8, dfmk_narrow_f16(x))

#undef DFMK_CONVERT

/* The first of `n` elements at `in` whose bits within `mask` are `limit` or more and which is not
 * -0; -1 if there is none. 512 bytes at a time. */
#define DFMK_FIRST(name, type, lanes)                                                            \
    typedef type name##_v __attribute__((ext_vector_type(lanes), aligned(1), may_alias));        \
    DFMK_INLINE int64_t name(const void *in, int64_t n, type mask, type limit) {                 \
        const char *from = (const char *)in;                                                     \
        const type minus_zero = (type)((type)1 << (8 * sizeof(type) - 1));                       \
        int64_t i = 0;                                                                           \
        for (; n - i >= 8 * lanes; i += 8 * lanes) {                                             \
            const name##_v *x = (const name##_v *)(from + i * (int64_t)sizeof(type));            \
            __typeof__(x[0] == x[0]) found = 0;                                                  \
            for (int k = 0; k < 8; k++)                                                          \
                found |= ((x[k] & mask) >= limit) & (x[k] != minus_zero);                        \
            if (__builtin_reduce_or(found)) break;                                               \
        }                                                                                        \
        for (; i < n; i++) {                                                                     \
            type x;                                                                              \
            __builtin_memcpy(&x, from + i * (int64_t)sizeof(type), sizeof x);                    \
            if ((x & mask) >= limit && x != minus_zero) return i;                                \
        }                                                                                        \
        return -1;                                                                               \
    }

DFMK_FIRST(dfmk_first_from_u16, uint16_t, 32)
DFMK_FIRST(dfmk_first_from_u32, uint32_t, 16)
DFMK_FIRST(dfmk_first_from_u64, uint64_t, 8)

#undef DFMK_FIRST
#undef DFMK_INLINE
#pragma clang diagnostic pop

#endif
