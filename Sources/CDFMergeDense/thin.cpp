#include "thin.h"

namespace dfmerge_dense {

thread_local const dfmd_loops *loops = &dfmd_loops_baseline;
thread_local Index wanted_vectors = 0;
thread_local const int32_t *flag = nullptr;

/* S_1 / S_k up to which A V / S stands for the left vectors: they are orthogonal to 2e-11. */
static const double well_conditioned = 1e5;
/* Columns that are reduced together by QR. */
static const Index qr_block = 32;
/* Columns of a symmetric product that are computed together. */
static const Index symmetric_block = 96;

typedef Eigen::internal::householder_qr_inplace_blocked<Matrix, Vector> BlockedQR;

Upright::Upright(const double *a, Index rows, Index columns)
    : is_transposed(rows < columns), power(0) {
    const Given transposed(a, columns, rows);
    const double largest = rows > 0 && columns > 0 ? transposed.cwiseAbs().maxCoeff() : 0;
    if (largest > 0) std::frexp(largest, &power);
    power = -power;
    /* In two steps: the power itself may be out of range. */
    const double half = std::ldexp(1.0, power / 2), rest = std::ldexp(1.0, power - power / 2);
    if (is_transposed)
        matrix = (transposed * half) * rest;
    else
        matrix = (transposed.transpose() * half) * rest;
}

int32_t Thin::decompose(Index count) {
    const Index m = a_.rows(), n = a_.cols();
    Matrix triangle;
    if (2 * m > 3 * n) {
        Matrix qr = a_;
        Vector householder(n), work(n);
        BlockedQR::run(qr, householder, qr_block, work.data());
        triangle = qr.topRows(n).triangularView<Eigen::Upper>();
    }
    wanted_vectors = count;
    Eigen::BDCSVD<Matrix> solver(triangle.size() > 0 ? triangle : a_, Eigen::ComputeThinV);
    if (solver.info() != Eigen::Success) return DFMD_NOT_CONVERGED;
    s_ = solver.singularValues();
    /* Small matrices come from another algorithm, with all of them. */
    v_ = solver.matrixV().leftCols(count);
    const bool is_finite = all_finite(s_.data(), n) && all_finite(v_.data(), n * count);
    return is_finite ? DFMD_OK : DFMD_NOT_CONVERGED;
}

bool Thin::is_well_conditioned(Index count) const {
    return count > 0 && s_(0) < well_conditioned * s_(count - 1);
}

Matrix Thin::left(Index count) const {
    Matrix result = Matrix::Zero(a_.rows(), count);
    if (is_well_conditioned(count)) {
        const Matrix scaled = v_.leftCols(count) * s_.head(count).cwiseInverse().asDiagonal();
        result.noalias() += a_ * scaled;
        return result;
    }
    result.noalias() += a_ * v_.leftCols(count);
    for (Index j = 0; j < count; j++) {
        const double norm = result.col(j).norm();
        if (norm > 0) result.col(j) /= norm;
    }
    Vector householder(count), work(count);
    BlockedQR::run(result, householder, qr_block, work.data());
    Matrix q = Matrix::Identity(a_.rows(), count);
    q.applyOnTheLeft(Eigen::HouseholderSequence<const Matrix, const Vector>(result, householder));
    for (Index j = 0; j < count; j++)
        if (result(j, j) < 0) q.col(j) = -q.col(j);
    return q;
}

Matrix Thin::polar(double cutoff) const {
    Index count = a_.cols();
    // A negative cutoff leaves nothing out, of a matrix of zeros either.
    while (cutoff >= 0 && count > 0 && s_(count - 1) <= cutoff * s_(0)) count--;
    Matrix result = Matrix::Zero(a_.rows(), a_.cols());
    const auto right = v_.leftCols(count);
    if (!is_well_conditioned(count)) {
        result.noalias() += left(count) * right.transpose();
        return result;
    }
    const Matrix scaled = right * s_.head(count).cwiseInverse().asDiagonal();
    /* V S^-1 VT is symmetric: block columns from the diagonal down are enough. */
    const Index n = a_.cols();
    Matrix square = Matrix::Zero(n, n);
    for (Index j = 0; j < n; j += symmetric_block) {
        const Index width = std::min(symmetric_block, n - j), height = n - j;
        square.block(j, j, height, width).noalias() +=
            scaled.bottomRows(height) * right.middleRows(j, width).transpose();
    }
    square.triangularView<Eigen::StrictlyUpper>() = square.transpose();
    result.noalias() += a_ * square;
    return result;
}

}  // namespace dfmerge_dense

extern "C" void dfmd_watch(const int32_t *flag) { dfmerge_dense::flag = flag; }

extern "C" void dfmd_raise(int32_t *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELAXED); }
