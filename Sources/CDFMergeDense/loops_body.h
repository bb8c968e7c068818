/* Included by loops_*.c, each of which sets
 *   LEVEL         the level's name
 *   LANES         doubles in a register
 *   TILE_ROWS     rows and columns of the block of the result that is held in registers
 *   TILE_COLUMNS
 *   DOT_COLUMNS   columns of which scalar products are taken together
 */
#include "loops.h"

#include <stddef.h>

#define JOIN2(a, b) a##_##b
#define JOIN(a, b) JOIN2(a, b)
/* The level is in every function's name: Scripts/check-levels.py goes by it. */
#define NAMED(name) JOIN(dfmd_##name, LEVEL)

#pragma STDC FP_CONTRACT OFF

typedef double vec __attribute__((vector_size(8 * LANES), aligned(8)));

enum {
    TILE_VECS = TILE_ROWS / LANES,
    /* Sums over a whole column take turns in eight lanes at every level. */
    SUM_LANES = 8,
    SUM_VECS = SUM_LANES / LANES
};

#define FORCED static inline __attribute__((always_inline))
#define UNROLLED _Pragma("clang loop unroll(full)")

FORCED vec load(const double *p) { return *(const vec *)p; }
FORCED void store(double *p, vec v) { *(vec *)p = v; }
FORCED vec all(double x) { return x - (vec){0}; }

/* ---- c += alpha a b ---------------------------------------------------------------------------*/

/* Runs of `width` rows of a (or columns of b) one after the other, `depth` groups of `width`
 * numbers each, the last run filled up with zeros. `step` is from one row to the next within a
 * group, `deep` from one group to the next. */
FORCED void pack_run(const double *from, int64_t step, int64_t deep, int64_t there, int64_t width,
                     int64_t depth, double *to) {
    if (step == 1 && there == width) {
        for (int64_t k = 0; k < depth; k++)
            for (int64_t i = 0; i < width; i++) to[k * width + i] = from[k * deep + i];
        return;
    }
    for (int64_t i = 0; i < width; i++) {
        if (i < there)
            for (int64_t k = 0; k < depth; k++) to[k * width + i] = from[i * step + k * deep];
        else
            for (int64_t k = 0; k < depth; k++) to[k * width + i] = 0;
    }
}

static void NAMED(pack_rows)(const double *from, int64_t step, int64_t deep, int64_t count,
                             int64_t depth, double *to) {
    for (int64_t i = 0; i < count; i += TILE_ROWS, to += TILE_ROWS * depth)
        pack_run(from + i * step, step, deep, count - i < TILE_ROWS ? count - i : TILE_ROWS,
                 TILE_ROWS, depth, to);
}

static void NAMED(pack_columns)(const double *from, int64_t step, int64_t deep, int64_t count,
                                int64_t depth, double *to) {
    for (int64_t j = 0; j < count; j += TILE_COLUMNS, to += TILE_COLUMNS * depth)
        pack_run(from + j * step, step, deep, count - j < TILE_COLUMNS ? count - j : TILE_COLUMNS,
                 TILE_COLUMNS, depth, to);
}

/* One block of c: each element is the sum of its `depth` products in their order, times alpha,
 * added to what is there. */
static void NAMED(tile)(int64_t depth, const double *a, const double *b, double alpha, double *c,
                        int64_t stride, int64_t rows, int64_t columns) {
    vec sums[TILE_COLUMNS][TILE_VECS];
    UNROLLED
    for (int j = 0; j < TILE_COLUMNS; j++) {
        UNROLLED
        for (int i = 0; i < TILE_VECS; i++) sums[j][i] = (vec){0};
    }
    for (int64_t k = 0; k < depth; k++, a += TILE_ROWS, b += TILE_COLUMNS) {
        vec column[TILE_VECS];
        UNROLLED
        for (int i = 0; i < TILE_VECS; i++) column[i] = load(a + i * LANES);
        UNROLLED
        for (int j = 0; j < TILE_COLUMNS; j++) {
            vec factor = all(b[j]);
            UNROLLED
            for (int i = 0; i < TILE_VECS; i++) sums[j][i] += column[i] * factor;
        }
    }
    if (rows == TILE_ROWS && columns == TILE_COLUMNS) {
        UNROLLED
        for (int j = 0; j < TILE_COLUMNS; j++) {
            UNROLLED
            for (int i = 0; i < TILE_VECS; i++) {
                double *at = c + j * stride + i * LANES;
                store(at, load(at) + all(alpha) * sums[j][i]);
            }
        }
        return;
    }
    double whole[TILE_COLUMNS * TILE_ROWS];
    UNROLLED
    for (int j = 0; j < TILE_COLUMNS; j++) {
        UNROLLED
        for (int i = 0; i < TILE_VECS; i++) store(whole + j * TILE_ROWS + i * LANES, sums[j][i]);
    }
    for (int64_t j = 0; j < columns; j++)
        for (int64_t i = 0; i < rows; i++) c[j * stride + i] += alpha * whole[j * TILE_ROWS + i];
}

static void NAMED(multiply)(int64_t rows, int64_t depth, int64_t columns, double alpha,
                            dfmd_operand a, dfmd_operand b, double *c, int64_t stride,
                            double *packed, const int32_t *flag) {
    for (int64_t j0 = 0; j0 < columns; j0 += DFMD_BLOCK_COLUMNS) {
        int64_t wide = columns - j0 < DFMD_BLOCK_COLUMNS ? columns - j0 : DFMD_BLOCK_COLUMNS;
        for (int64_t k0 = 0; k0 < depth; k0 += DFMD_DEPTH) {
            int64_t deep = depth - k0 < DFMD_DEPTH ? depth - k0 : DFMD_DEPTH;
            NAMED(pack_columns)(b.data + k0 * b.row_step + j0 * b.column_step, b.column_step,
                                b.row_step, wide, deep, packed);
            double *left =
                packed + deep * ((wide + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS);
            for (int64_t i0 = 0; i0 < rows; i0 += DFMD_BLOCK_ROWS) {
                if (dfmd_is_raised(flag)) return;
                int64_t high = rows - i0 < DFMD_BLOCK_ROWS ? rows - i0 : DFMD_BLOCK_ROWS;
                NAMED(pack_rows)(a.data + i0 * a.row_step + k0 * a.column_step, a.row_step,
                                 a.column_step, high, deep, left);
                for (int64_t j = 0; j < wide; j += TILE_COLUMNS)
                    for (int64_t i = 0; i < high; i += TILE_ROWS)
                        NAMED(tile)(deep, left + i * deep, packed + j * deep, alpha,
                                    c + (j0 + j) * stride + i0 + i, stride,
                                    high - i < TILE_ROWS ? high - i : TILE_ROWS,
                                    wide - j < TILE_COLUMNS ? wide - j : TILE_COLUMNS);
            }
        }
    }
}

/* ---- A matrix and a vector --------------------------------------------------------------------*/

static void NAMED(multiply_vector)(int64_t rows, int64_t columns, double alpha, const double *a,
                                   int64_t stride, const double *x, int64_t step, double *y) {
    enum { TOGETHER = 8 };
    int64_t j = 0;
    for (; j + TOGETHER <= columns; j += TOGETHER) {
        const double *column = a + j * stride;
        double factors[TOGETHER];
        UNROLLED
        for (int q = 0; q < TOGETHER; q++) factors[q] = alpha * x[(j + q) * step];
        int64_t i = 0;
        for (; i + LANES <= rows; i += LANES) {
            vec sum = load(y + i);
            UNROLLED
            for (int q = 0; q < TOGETHER; q++)
                sum += load(column + q * stride + i) * all(factors[q]);
            store(y + i, sum);
        }
        for (; i < rows; i++) {
            double sum = y[i];
            for (int q = 0; q < TOGETHER; q++) sum += column[q * stride + i] * factors[q];
            y[i] = sum;
        }
    }
    for (; j < columns; j++) {
        double factor = alpha * x[j * step];
        for (int64_t i = 0; i < rows; i++) y[i] += a[j * stride + i] * factor;
    }
}

FORCED double sum_of_lanes(const double *lane) {
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* The scalar products of `count` columns with x, added to y. */
FORCED void dots(int64_t rows, int count, double alpha, const double *a, int64_t stride,
                 const double *x, double *y, int64_t step) {
    vec sums[DOT_COLUMNS][SUM_VECS];
    for (int q = 0; q < count; q++)
        for (int v = 0; v < SUM_VECS; v++) sums[q][v] = (vec){0};
    int64_t i = 0;
    for (; i + SUM_LANES <= rows; i += SUM_LANES) {
        UNROLLED
        for (int v = 0; v < SUM_VECS; v++) {
            vec there = load(x + i + v * LANES);
            UNROLLED
            for (int q = 0; q < count; q++)
                sums[q][v] += load(a + q * stride + i + v * LANES) * there;
        }
    }
    for (int q = 0; q < count; q++) {
        double lane[SUM_LANES];
        for (int v = 0; v < SUM_VECS; v++) store(lane + v * LANES, sums[q][v]);
        for (int64_t r = i; r < rows; r++) lane[r - i] += a[q * stride + r] * x[r];
        y[q * step] += alpha * sum_of_lanes(lane);
    }
}

static void NAMED(multiply_transposed)(int64_t rows, int64_t columns, double alpha, const double *a,
                                       int64_t stride, const double *x, double *y, int64_t step) {
    int64_t j = 0;
    for (; j + DOT_COLUMNS <= columns; j += DOT_COLUMNS)
        dots(rows, DOT_COLUMNS, alpha, a + j * stride, stride, x, y + j * step, step);
    for (; j < columns; j++) dots(rows, 1, alpha, a + j * stride, stride, x, y + j * step, step);
}

/* ---- The secular equation of divide and conquer -----------------------------------------------*/

static double NAMED(secular)(int64_t count, const int64_t *index, const double *z,
                             const double *near, const double *far, double shift, double mu) {
    double lane[SUM_LANES] = {0};
    int64_t i = 0;
    if (index == NULL) {
        vec sums[SUM_VECS];
        for (int v = 0; v < SUM_VECS; v++) sums[v] = (vec){0};
        for (; i + SUM_LANES <= count; i += SUM_LANES) {
            UNROLLED
            for (int v = 0; v < SUM_VECS; v++) {
                int64_t at = i + v * LANES;
                vec above = load(z + at);
                sums[v] += (above / (load(near + at) - all(mu))) *
                           (above / ((load(far + at) + all(shift)) + all(mu)));
            }
        }
        for (int v = 0; v < SUM_VECS; v++) store(lane + v * LANES, sums[v]);
    }
    for (; i < count; i++) {
        int64_t j = index == NULL ? i : index[i];
        lane[i % SUM_LANES] += (z[j] / (near[j] - mu)) * (z[j] / ((far[j] + shift) + mu));
    }
    return 1 + sum_of_lanes(lane);
}

const dfmd_loops NAMED(loops) = {
    .multiply = NAMED(multiply),
    .multiply_vector = NAMED(multiply_vector),
    .multiply_transposed = NAMED(multiply_transposed),
    .secular = NAMED(secular),
};
