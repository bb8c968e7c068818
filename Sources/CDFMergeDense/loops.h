#ifndef DFMERGE_DENSE_LOOPS_H
#define DFMERGE_DENSE_LOOPS_H

#include <stddef.h>
#include <stdint.h>

/* The loops that take the time of a factorisation, compiled once per CPU level from loops_body.h.
 * Every level gives the same bits: the order of every sum is fixed here and not by the width of a
 * register, and no product is fused with a sum. Matrices are stored by columns. */

#ifdef __cplusplus
extern "C" {
#endif

/** How a matrix lies in memory: element (i, j) is at data[i * row_step + j * column_step]. One of
 * the steps is 1. */
typedef struct {
    const double *data;
    int64_t row_step, column_step;
} dfmd_operand;

enum {
    /* Each sum over the inner dimension is cut into runs of this many terms. Part of the result. */
    DFMD_DEPTH = 256,
    /* The packed block of the left matrix stays in the second-level cache, that of the right one
     * in the third. They do not change a result. */
    DFMD_BLOCK_ROWS = 192,
    DFMD_BLOCK_COLUMNS = 960,
    /* What packing rounds rows and columns up to, at most. */
    DFMD_TILE_ROWS = 24,
    DFMD_TILE_COLUMNS = 8
};

typedef struct {
    /** c += alpha a b, c being rows x columns with `stride` between its columns. `packed` has room
     * for dfmd_packed_count(rows, depth, columns) numbers. Returns early where `flag` is raised. */
    void (*multiply)(int64_t rows, int64_t depth, int64_t columns, double alpha, dfmd_operand a,
                     dfmd_operand b, double *c, int64_t stride, double *packed,
                     const int32_t *flag);
    /** y += alpha a x, a being rows x columns; x has `step` between its elements. */
    void (*multiply_vector)(int64_t rows, int64_t columns, double alpha, const double *a,
                            int64_t stride, const double *x, int64_t step, double *y);
    /** y += alpha aT x, a being rows x columns; y has `step` between its elements. */
    void (*multiply_transposed)(int64_t rows, int64_t columns, double alpha, const double *a,
                                int64_t stride, const double *x, double *y, int64_t step);
    /** 1 + sum over j of z_j^2 / ((near_j - mu) (far_j + shift + mu)), j = index[0 ..< count] or,
     * where `index` is null, j = 0 ..< count. */
    double (*secular)(int64_t count, const int64_t *index, const double *z, const double *near,
                      const double *far, double shift, double mu);
} dfmd_loops;

extern const dfmd_loops dfmd_loops_baseline;
#ifdef DFMERGE_CPU_LEVELS
extern const dfmd_loops dfmd_loops_v3;
extern const dfmd_loops dfmd_loops_v4;
#endif

/** Whether a flag, null for none, was raised by dfmd_raise. */
static inline int dfmd_is_raised(const int32_t *flag) {
    return flag != NULL && __atomic_load_n(flag, __ATOMIC_RELAXED) != 0;
}

static inline int64_t dfmd_packed_count(int64_t rows, int64_t depth, int64_t columns) {
    int64_t deep = depth < DFMD_DEPTH ? depth : DFMD_DEPTH;
    int64_t high = rows < DFMD_BLOCK_ROWS ? rows : DFMD_BLOCK_ROWS;
    int64_t wide = columns < DFMD_BLOCK_COLUMNS ? columns : DFMD_BLOCK_COLUMNS;
    return deep * (high + wide + DFMD_TILE_ROWS + DFMD_TILE_COLUMNS);
}

#ifdef __cplusplus
}
#endif

#endif
