#ifndef DFMERGE_CONVERT_H
#define DFMERGE_CONVERT_H

#include <stdint.h>

/* Arrays of the element types that are merged: widened, and searched. These are C because Swift's
 * own SIMD conversions leave weak copies that the linker may share between builds for different
 * CPUs; `static inline` functions are local to each object. Addresses may be unaligned. */

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

/** Whether all of `v` lie in `[low, high]`; NaN does not. Not a conversion, but Swift would call
 * functions for it. */
DFMK_INLINE _Bool dfmk_all_in(dfmk_f64x8 v, double low, double high) {
    return __builtin_reduce_and((v >= low) & (v <= high)) != 0;
}

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
