#ifndef DFMERGE_CPU_H
#define DFMERGE_CPU_H

#include <stdint.h>

/** The highest x86-64 level, 2 to 4, of this CPU and its operating system; 2 also for a CPU below
 * level 2 and for other architectures, where no code asks for more. */
int32_t dfmk_cpu_level(void);

#endif
