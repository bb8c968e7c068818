#include "thin.h"

using namespace dfmerge_dense;

namespace {

/* Which of a column's elements is largest, the first one of several. */
Index largest_element(const Matrix &matrix, Index j) {
    Index at = 0;
    for (Index i = 1; i < matrix.rows(); i++)
        if (std::abs(matrix(i, j)) > std::abs(matrix(at, j))) at = i;
    return at;
}

/* s after undoing the scaling; false if one of them is too large for a double. */
bool store_values(const Thin &thin, int power, Index count, double *s) {
    for (Index j = 0; j < count; j++) s[j] = std::ldexp(thin.values()(j), -power);
    return all_finite(s, count);
}

}  // namespace

extern "C" int32_t dfmd_svd(int32_t level, const double *a, int64_t rows, int64_t columns,
                            int64_t count, double *u, double *s, double *vt) {
    return guarded(level, [&]() -> int32_t {
        if (rows <= 0 || columns <= 0 || count <= 0) return DFMD_OK;
        if (!all_finite(a, rows * columns)) return DFMD_NOT_FINITE;
        Upright upright(a, rows, columns);
        Thin thin(std::move(upright.matrix));
        const int32_t status = thin.decompose(count);
        if (status != DFMD_OK) return status;
        if (!store_values(thin, upright.power, count, s)) return DFMD_NOT_FINITE;
        const Matrix left = thin.left(count);
        const Matrix &first = upright.is_transposed ? thin.right() : left;
        const Matrix &second = upright.is_transposed ? left : thin.right();
        /* u by rows is its transpose by columns; vt by rows is v by columns. */
        Result ut(u, count, rows), v(vt, columns, count);
        for (Index j = 0; j < count; j++) {
            const double sign = second(largest_element(second, j), j) < 0 ? -1 : 1;
            ut.row(j) = sign * first.col(j).transpose();
            v.col(j) = sign * second.col(j);
        }
        return DFMD_OK;
    });
}

extern "C" int32_t dfmd_polar(int32_t level, const double *a, int64_t rows, int64_t columns,
                              double cutoff, double *factor, double *s) {
    return guarded(level, [&]() -> int32_t {
        if (rows <= 0 || columns <= 0) return DFMD_OK;
        if (!all_finite(a, rows * columns)) return DFMD_NOT_FINITE;
        Upright upright(a, rows, columns);
        Thin thin(std::move(upright.matrix));
        const int32_t status = thin.decompose(std::min(rows, columns));
        if (status != DFMD_OK) return status;
        if (!store_values(thin, upright.power, std::min(rows, columns), s)) return DFMD_NOT_FINITE;
        const Matrix polar = thin.polar(cutoff);
        Result transposed(factor, columns, rows);
        if (upright.is_transposed)
            transposed = polar;
        else
            transposed = polar.transpose();
        return DFMD_OK;
    });
}
