#ifdef DFMERGE_CPU_LEVELS
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw"))), apply_to = function)
#define LEVEL v4
#define LANES 8
#define TILE_ROWS 24
#define TILE_COLUMNS 8
#define DOT_COLUMNS 4
#include "loops_body.h"
#pragma clang attribute pop
#endif
