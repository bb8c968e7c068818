#ifndef DFMERGE_DLPACK_H
#define DFMERGE_DLPACK_H

#include <stdint.h>

/* The structures of DLPack 1.1, as its specification lays them out: an exchange format between
 * libraries, so no field may move. */

typedef struct dfmk_dl_device {
    int32_t type; /* 1: host memory */
    int32_t id;
} dfmk_dl_device;

typedef struct dfmk_dl_type {
    uint8_t code;
    uint8_t bits;
    uint16_t lanes;
} dfmk_dl_type;

typedef struct dfmk_dl_tensor {
    void *data;
    dfmk_dl_device device;
    int32_t rank;
    dfmk_dl_type type;
    int64_t *shape;
    int64_t *strides; /* in elements */
    uint64_t byte_offset;
} dfmk_dl_tensor;

/* Before DLPack 1.0: no version, no flags. */
typedef struct dfmk_dl_legacy {
    dfmk_dl_tensor tensor;
    void *context;
    void (*deleter)(struct dfmk_dl_legacy *self);
} dfmk_dl_legacy;

/* Since DLPack 1.0. */
typedef struct dfmk_dl_versioned {
    uint32_t major;
    uint32_t minor;
    void *context;
    void (*deleter)(struct dfmk_dl_versioned *self);
    uint64_t flags; /* bit 0: read-only, bit 1: a copy, bit 2: sub-byte elements padded to bytes */
    dfmk_dl_tensor tensor;
} dfmk_dl_versioned;

#endif
