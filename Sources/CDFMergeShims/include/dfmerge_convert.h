#ifndef DFMERGE_CONVERT_H
#define DFMERGE_CONVERT_H
#include <stdint.h>
#endif
