#include "guard.h"

#include <limits>

using namespace dfmerge_dense;

namespace {

/* Columns that are factored, and solved for, without a product of matrices. */
const Index block = 32;

/* The lower triangle L of a = L LT in a's place; false if a is not positive definite. */
bool factor(Matrix &a) {
    const Index n = a.rows();
    for (Index k = 0; k < n; k += block) {
        const Index here = std::min(block, n - k), below = n - k - here;
        auto square = a.block(k, k, here, here);
        if (k > 0) {
            auto rows = a.block(k, 0, n - k, k);
            a.block(k, k, n - k, here).noalias() -= rows * rows.topRows(here).transpose();
        }
        if (Eigen::internal::llt_inplace<double, Eigen::Lower>::unblocked(square) >= 0) return false;
        auto panel = a.block(k + here, k, below, here);
        /* panel L^-T, column by column. */
        for (Index j = 0; j < here; j++) {
            for (Index i = 0; i < j; i++) panel.col(j) -= square(j, i) * panel.col(i);
            panel.col(j) /= square(j, j);
        }
    }
    return true;
}

/* L^-T L^-1 x in x's place. */
void substitute(const Matrix &l, Matrix &x) {
    const Index n = l.rows(), last = (n - 1) / block * block;
    for (Index k = 0; k < n; k += block) {
        const Index here = std::min(block, n - k);
        auto rows = x.middleRows(k, here);
        if (k > 0) rows.noalias() -= l.block(k, 0, here, k) * x.topRows(k);
        for (Index j = 0; j < x.cols(); j++)
            for (Index i = 0; i < here; i++) {
                const double solved = rows(i, j) / l(k + i, k + i);
                rows(i, j) = solved;
                for (Index r = i + 1; r < here; r++) rows(r, j) -= l(k + r, k + i) * solved;
            }
    }
    for (Index k = last; k >= 0; k -= block) {
        const Index here = std::min(block, n - k), below = n - k - here;
        auto rows = x.middleRows(k, here);
        if (below > 0)
            rows.noalias() -= l.block(k + here, k, below, here).transpose() * x.bottomRows(below);
        for (Index j = 0; j < x.cols(); j++)
            for (Index i = here - 1; i >= 0; i--) {
                double sum = rows(i, j);
                for (Index r = i + 1; r < here; r++) sum -= l(k + r, k + i) * rows(r, j);
                rows(i, j) = sum / l(k + i, k + i);
            }
    }
}

/* x = V D^+ VT b. */
int32_t least_squares(const Matrix &a, const Matrix &b, Matrix &x) {
    Eigen::SelfAdjointEigenSolver<Matrix> solver(a);
    if (solver.info() != Eigen::Success) return DFMD_NOT_CONVERGED;
    const Vector &values = solver.eigenvalues();
    const double limit = values.cwiseAbs().maxCoeff() * double(a.rows()) *
                         std::numeric_limits<double>::epsilon();
    Matrix turned = Matrix::Zero(a.rows(), b.cols());
    turned.noalias() += solver.eigenvectors().transpose() * b;
    for (Index i = 0; i < a.rows(); i++)
        if (std::abs(values(i)) > limit)
            turned.row(i) /= values(i);
        else
            turned.row(i).setZero();
    x.setZero();
    x.noalias() += solver.eigenvectors() * turned;
    return DFMD_OK;
}

}  // namespace

extern "C" int32_t dfmd_solve_symmetric(int32_t level, const double *a, int64_t n, const double *b,
                                        int64_t columns, double *x) {
    return guarded(level, [&]() -> int32_t {
        if (n <= 0 || columns <= 0) return DFMD_OK;
        if (!all_finite(b, n * columns)) return DFMD_NOT_FINITE;
        /* The lower triangle by rows is the upper one by columns. */
        const Matrix symmetric = Given(a, n, n).selfadjointView<Eigen::Upper>();
        if (!all_finite(symmetric.data(), n * n)) return DFMD_NOT_FINITE;
        const Matrix right = Given(b, columns, n).transpose();
        Matrix lower = symmetric, solution = right;
        bool is_solved = factor(lower);
        if (is_solved) {
            substitute(lower, solution);
            is_solved = all_finite(solution.data(), solution.size());
        }
        if (!is_solved) {
            const int32_t status = least_squares(symmetric, right, solution);
            if (status != DFMD_OK) return status;
        }
        Result(x, columns, n) = solution.transpose();
        return all_finite(x, n * columns) ? DFMD_OK : DFMD_NOT_FINITE;
    });
}
