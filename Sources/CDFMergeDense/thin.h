#ifndef DFMERGE_DENSE_THIN_H
#define DFMERGE_DENSE_THIN_H

#include "guard.h"

namespace dfmerge_dense {

/* The thin singular value decomposition of a matrix A with at least as many rows as columns.
 *
 * Divide and conquer gives S and V: of the triangle R of A's QR decomposition where A is tall, for
 * then Q is not needed. The left vectors are A V / S, which are orthogonal to 2^-52 S_1 / S_k.
 * Where that is not good enough, QR of A V makes them so: it changes them by as little as they are
 * known, and gives directions of their own to those that belong to singular values of 0. */
class Thin {
public:
    explicit Thin(Matrix a) : a_(std::move(a)) {}

    /* Finds all singular values, and the right vectors of the `count` largest: of these, the rest
     * may be asked for after this has given DFMD_OK. */
    int32_t decompose(Index count);

    const Vector &values() const { return s_; }
    const Matrix &right() const { return v_; }
    /* The first `count` left vectors. */
    Matrix left(Index count) const;
    /* U VT of all vectors, without the directions whose singular value is at most `cutoff` times the largest. */
    Matrix polar(double cutoff) const;

private:
    bool is_well_conditioned(Index count) const;

    Matrix a_, v_;
    Vector s_;
};

/* A matrix that is stored by rows, as one by columns with at least as many rows as columns:
 * transposed or not, and multiplied by a power of two that makes its largest element about 1. */
struct Upright {
    Upright(const double *a, Index rows, Index columns);

    Matrix matrix;
    bool is_transposed;
    int power;
};

}  // namespace dfmerge_dense

#endif
