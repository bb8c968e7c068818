#ifdef DFMERGE_CPU_LEVELS
/* Not FMA, which would round once where the baseline rounds twice. */
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#define LEVEL v3
#define LANES 4
#define TILE_ROWS 8
#define TILE_COLUMNS 6
#define DOT_COLUMNS 4
#include "loops_body.h"
#pragma clang attribute pop
#endif
