#include "include/dfmerge_cpu.h"

#if defined(__x86_64__)

#include <cpuid.h>

/* The levels are those of the x86-64 psABI. Bits as cpuid numbers them. */
enum {
    /* leaf 1, ecx: FMA, MOVBE, OSXSAVE, AVX, F16C */
    LEAF1_ECX_V3 = 1 << 12 | 1 << 22 | 1 << 27 | 1 << 28 | 1 << 29,
    /* leaf 7, ebx: BMI1, AVX2, BMI2; AVX512F, DQ, CD, BW, VL */
    LEAF7_EBX_V3 = 1 << 3 | 1 << 5 | 1 << 8,
    LEAF7_EBX_V4_LOW = 1 << 16 | 1 << 17 | 1 << 28 | 1 << 30,
    /* leaf 0x80000001, ecx: LAHF-SAHF, LZCNT */
    LEAF81_ECX_V3 = 1 << 0 | 1 << 5,
    /* xcr0: the system saves xmm and ymm; and k, the upper halves of zmm, zmm16 and above */
    XCR0_V3 = 0x6,
    XCR0_V4 = 0xe6
};

static int has(unsigned value, unsigned bits) { return (value & bits) == bits; }

int32_t dfmk_cpu_level(void) {
    unsigned a, b, c, d, leaf1_c, leaf7_b, leaf81_c, xcr0, upper;
    if (!__get_cpuid(1, &a, &b, &leaf1_c, &d) || !has(leaf1_c, LEAF1_ECX_V3)) return 2;
    if (!__get_cpuid_count(7, 0, &a, &leaf7_b, &c, &d) || !has(leaf7_b, LEAF7_EBX_V3)) return 2;
    if (!__get_cpuid(0x80000001, &a, &b, &leaf81_c, &d) || !has(leaf81_c, LEAF81_ECX_V3)) return 2;
    /* xgetbv is there, for OSXSAVE is. */
    __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(upper) : "c"(0));
    if (!has(xcr0, XCR0_V3)) return 2;
    if (!has(leaf7_b, LEAF7_EBX_V4_LOW | 1u << 31) || !has(xcr0, XCR0_V4)) return 3;
    return 4;
}

#else

int32_t dfmk_cpu_level(void) { return 2; }

#endif
