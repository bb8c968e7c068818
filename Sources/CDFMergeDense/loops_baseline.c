#define LEVEL baseline
#define LANES 2
#define TILE_ROWS 4
#define TILE_COLUMNS 4
#define DOT_COLUMNS 2
#include "loops_body.h"
