#ifndef DFMERGE_THREADS_H
#define DFMERGE_THREADS_H
#include <stdint.h>
#endif
