#ifndef DFMERGE_DENSE_H
#define DFMERGE_DENSE_H

#include <stdint.h>

/* Dense factorisations in double precision, on one thread, by Eigen.
 *
 * Matrices are stored by rows, without gaps. The bits of a result depend on the operands only: not
 * on `level`, the level of the CPU (2 to 4; see dfmerge_cpu.h) whose instructions may be used, nor
 * on the addresses. No C++ type or exception comes through. Every function may be called by several
 * threads at once, and gives one of these: */
enum {
    DFMD_OK = 0,
    DFMD_NO_MEMORY = 1,
    /* An operand or the result has an element that is not a finite number. */
    DFMD_NOT_FINITE = 2,
    /* The iteration did not come to an end; no operand is known to do that. */
    DFMD_NOT_CONVERGED = 3,
    /* The flag that the thread watches was raised; see dfmd_watch. Results are of any content. */
    DFMD_STOPPED = 4
};

#ifdef __cplusplus
extern "C" {
#endif

/** From now on the functions here that this thread calls look at `flag`, and end with DFMD_STOPPED
 * within about 50 ms of its being raised, whatever the size of the operands. Null: none. */
void dfmd_watch(const int32_t *flag);

/** Raises a flag that was 0; from any thread. */
void dfmd_raise(int32_t *flag);

/** c += alpha a b, c being rows x columns, after transposing a and b where that is asked for.
 * Elements need not be finite. */
int32_t dfmd_multiply(int32_t level, int64_t rows, int64_t depth, int64_t columns, double alpha,
                      const double *a, int32_t transpose_a, const double *b, int32_t transpose_b,
                      double *c);

/** The `count` largest singular values of a (rows x columns), falling, with their vectors: u is
 * rows x count, s has count elements, vt is count x columns. count is at most the smaller dimension.
 * The element of largest magnitude in each row of vt, the first such one, is positive. */
int32_t dfmd_svd(int32_t level, const double *a, int64_t rows, int64_t columns, int64_t count,
                 double *u, double *s, double *vt);

/** U VT of the thin singular value decomposition of a (rows x columns), in `factor` of the same
 * shape, and in `s` all singular values, falling. Directions whose singular value is at most
 * `cutoff` times the largest are left out; with a negative cutoff, none are. */
int32_t dfmd_polar(int32_t level, const double *a, int64_t rows, int64_t columns, double cutoff,
                   double *factor, double *s);

/** x with a x = b: a is symmetric, n x n, and only its lower triangle is read; b and x are
 * n x columns. Where a is not positive definite, x is the solution of least norm among those of
 * least residual, and eigenvalues of magnitude up to n 2^-52 times the largest count as 0. */
int32_t dfmd_solve_symmetric(int32_t level, const double *a, int64_t n, const double *b,
                             int64_t columns, double *x);

/** The most bytes of heap that the function of this name takes. */
int64_t dfmd_multiply_bytes(int64_t rows, int64_t depth, int64_t columns);
int64_t dfmd_svd_bytes(int64_t rows, int64_t columns, int64_t count);
int64_t dfmd_polar_bytes(int64_t rows, int64_t columns);
int64_t dfmd_solve_symmetric_bytes(int64_t n, int64_t columns);

#ifdef __cplusplus
}
#endif

#endif
