#ifndef DFMERGE_DENSE_GUARD_H
#define DFMERGE_DENSE_GUARD_H

#include <new>

#include "eigen.h"
#include "include/dfmerge_dense.h"

namespace dfmerge_dense {

/* Runs a C function's work with the loops of a level; nothing that it throws comes through. */
template <typename Work>
int32_t guarded(int32_t level, Work work) noexcept {
    loops = &dfmd_loops_baseline;
#ifdef DFMERGE_CPU_LEVELS
    if (level == 3) loops = &dfmd_loops_v3;
    if (level >= 4) loops = &dfmd_loops_v4;
#else
    (void)level;
#endif
    try {
        go_on();
        return work();
    } catch (const Stopped &) {
        return DFMD_STOPPED;
    } catch (const std::bad_alloc &) {
        return DFMD_NO_MEMORY;
    } catch (...) {
        return DFMD_NOT_CONVERGED;
    }
}

inline bool all_finite(const double *data, Index count) {
    for (Index i = 0; i < count; i++)
        if (!std::isfinite(data[i])) return false;
    return true;
}

}  // namespace dfmerge_dense

#endif
