#ifndef DFMERGE_MASKS_H
#define DFMERGE_MASKS_H

#include <stdint.h>

/* What comparing the lanes of a vector gave, as a bit per lane: an instruction or two at every CPU
 * level, where reducing the lanes takes one after the other. */

typedef int32_t dfmk_flags_32 __attribute__((ext_vector_type(16)));
typedef int64_t dfmk_flags_64 __attribute__((ext_vector_type(8)));
typedef _Bool dfmk_bits_16 __attribute__((ext_vector_type(16)));
typedef _Bool dfmk_bits_8 __attribute__((ext_vector_type(8)));

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"

#define DFMK_INLINE static inline __attribute__((always_inline))

DFMK_INLINE uint32_t dfmk_mask_32(dfmk_flags_32 flags) {
    dfmk_bits_16 bits = __builtin_convertvector(flags, dfmk_bits_16);
    uint16_t mask;
    __builtin_memcpy(&mask, &bits, sizeof mask);
    return mask;
}

DFMK_INLINE uint32_t dfmk_mask_64(dfmk_flags_64 flags) {
    dfmk_bits_8 bits = __builtin_convertvector(flags, dfmk_bits_8);
    uint8_t mask;
    __builtin_memcpy(&mask, &bits, sizeof mask);
    return mask;
}

#undef DFMK_INLINE
#pragma clang diagnostic pop

#endif
