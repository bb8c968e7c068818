#include "guard.h"

using namespace dfmerge_dense;

namespace {

/* A matrix that is stored by rows, transposed once more where that is asked for, as an operand. */
dfmd_operand by_rows(const double *data, int64_t rows, int64_t columns, bool transpose) {
    return operand(data, transpose ? rows : columns, !transpose);
}

}  // namespace

extern "C" int32_t dfmd_multiply(int32_t level, int64_t rows, int64_t depth, int64_t columns,
                                 double alpha, const double *a, int32_t transpose_a,
                                 const double *b, int32_t transpose_b, double *c) {
    return guarded(level, [&]() -> int32_t {
        if (rows <= 0 || columns <= 0) return DFMD_OK;
        /* c by rows is cT = bT aT by columns. */
        const dfmd_operand left = by_rows(a, rows, depth, transpose_a != 0);
        const dfmd_operand right = by_rows(b, depth, columns, transpose_b != 0);
        multiply(columns, depth, rows, alpha,
                 {right.data, right.column_step, right.row_step},
                 {left.data, left.column_step, left.row_step}, c, columns);
        return DFMD_OK;
    });
}
