#ifndef DFMERGE_POWER_H
#define DFMERGE_POWER_H

#include <stdint.h>

/* Powers of floats. C, for it has vectors of any length: here, four registers of the CPU level.
 * That many chains of operations in lockstep keep a CPU busy, which does not look far enough ahead
 * to begin the next chain by itself. */

#if defined(__AVX512F__)
#define DFMK_CHAINS 64
#elif defined(__AVX__)
#define DFMK_CHAINS 32
#else
#define DFMK_CHAINS 16
#endif

typedef float dfmk_chains __attribute__((ext_vector_type(DFMK_CHAINS)));
typedef uint32_t dfmk_chain_bits __attribute__((ext_vector_type(DFMK_CHAINS)));
typedef uint32_t dfmk_chain_bits_u
    __attribute__((ext_vector_type(DFMK_CHAINS), aligned(1), may_alias));

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"
#pragma STDC FP_CONTRACT OFF

/** `x = x^exponent`, in place, for `n` floats that are normal and positive, `n` being a multiple of
 * 64, and an exponent between 0 and 1.
 *
 * Error, relative: at most 2.5e-7, which is four units of the last place.
 *
 * `x = 2^e m` with `sqrt(1/2) <= m < sqrt(2)`, and `x^p = 2^k 2^f` with `k + f = p e + p log2 m`.
 * The product `p e` needs more digits than a float has where `e` is large: `p` is split in two
 * parts, of which the first has sixteen bits, so that its product is exact. The coefficients are
 * those of minimax polynomials. */
static inline __attribute__((always_inline)) void dfmk_raise(void *values, int64_t n,
                                                             double exponent) {
    float p = (float)exponent;
    uint32_t bits_of_p;
    __builtin_memcpy(&bits_of_p, &p, 4);
    bits_of_p &= 0xffffff00u;
    float first;
    __builtin_memcpy(&first, &bits_of_p, 4);
    float second = (float)(exponent - (double)first);
    /* Bits of 1 and of sqrt(1/2): their difference moves the cut between exponents to sqrt(1/2). */
    const uint32_t one = 0x3f800000u, root = 0x3f3504f3u;
    for (int64_t i = 0; i < n; i += DFMK_CHAINS) {
        dfmk_chain_bits_u *x = (dfmk_chain_bits_u *)((char *)values + 4 * i);
        dfmk_chain_bits shifted = *x + (one - root);
        dfmk_chains m = (dfmk_chains)((shifted & 0x007fffffu) + root);
        /* The exponent, as the last bits of 2^23: a float without an integer conversion. */
        dfmk_chains e = (dfmk_chains)(shifted >> 23 | 0x4b000000u) - (0x1p23f + 127);
        /* log2 m = s Q(s^2), s = (m - 1) / (m + 1): the inverse hyperbolic tangent's series. */
        dfmk_chains s = (m - 1) / (m + 1);
        dfmk_chains z = s * s;
        dfmk_chains q = (z * 0x1.310b00p-1f + 0x1.ec554ap-1f) * z + 0x1.71547ap+1f;
        dfmk_chains large = e * first;
        dfmk_chains small = e * second + q * s * p;
        /* Adding 1.5 * 2^23 rounds to an integer k and leaves it in the last bits. */
        const float magic = 0x1.8p23f;
        dfmk_chains t = large + small + magic;
        dfmk_chains f = large - (t - magic) + small;
        dfmk_chains r = f * 0x1.41fbbap-13f + 0x1.5f3e54p-10f;
        r = r * f + 0x1.3b2d4cp-7f;
        r = r * f + 0x1.c6aee8p-5f;
        r = r * f + 0x1.ebfbdcp-3f;
        r = r * f + 0x1.62e430p-1f;
        r = r * f + 1;
        /* Times 2^k: k is added to the exponent's bits; what is above it in t is shifted out. */
        *x = (dfmk_chain_bits)r + ((dfmk_chain_bits)t << 23);
    }
}

#undef DFMK_CHAINS
#pragma clang diagnostic pop

#endif
