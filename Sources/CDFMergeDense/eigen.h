/* Eigen, with its products of matrices and of a matrix and a vector taken from loops.h.
 *
 * Eigen's own products sum in an order that follows the width of a register and the size of the
 * caches, so that their bits depend on the machine. These do not, and are compiled for newer CPUs
 * too. The structs that are specialised here are those that Eigen's interface to a BLAS replaces.
 */
#ifndef DFMERGE_DENSE_EIGEN_H
#define DFMERGE_DENSE_EIGEN_H

/* Another copy of Eigen in the same program, compiled with other settings, has other names. */
#define Eigen dfmerge_eigen
#define EIGEN_MPL2_ONLY
#define EIGEN_DONT_PARALLELIZE
/* Its assertions end the process. */
#define EIGEN_NO_DEBUG
#define EIGEN_NO_IO
/* What is larger than this many bytes goes to the heap; threads may have small stacks. */
#define EIGEN_STACK_ALLOCATION_LIMIT 32768

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <Eigen/SVD>

#include "loops.h"

namespace dfmerge_dense {

/* The loops of the call that this thread is in. */
extern thread_local const dfmd_loops *loops;
/* How many right singular vectors BDCSVD finds, of the largest values. */
extern thread_local Eigen::Index wanted_vectors;

/* The flag that this thread watches, or null. */
extern thread_local const int32_t *flag;

/* Thrown where a flag was found raised: only to `guarded`. */
struct Stopped {};

/* Called between steps of a few ms at most: what the loops below compute, and no loop of Eigen's
 * own takes longer. */
inline void go_on() {
    if (dfmd_is_raised(flag)) throw Stopped();
}

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;
using Index = Eigen::Index;
/* What callers store by rows is its transpose, stored by columns. */
using Given = Eigen::Map<const Matrix>;
using Result = Eigen::Map<Matrix>;

/* c += alpha a b; throws std::bad_alloc and Stopped. */
inline void multiply(Index rows, Index depth, Index columns, double alpha, dfmd_operand a,
                     dfmd_operand b, double *c, Index stride) {
    if (rows <= 0 || depth <= 0 || columns <= 0) return;
    Vector packed(dfmd_packed_count(rows, depth, columns));
    loops->multiply(rows, depth, columns, alpha, a, b, c, stride, packed.data(), flag);
    go_on();
}

inline dfmd_operand operand(const double *data, Index stride, bool by_rows) {
    return by_rows ? dfmd_operand{data, stride, 1} : dfmd_operand{data, 1, stride};
}

}  // namespace dfmerge_dense

namespace Eigen {
namespace internal {

template <typename Index, int LeftOrder, bool LeftConjugate, int RightOrder, bool RightConjugate>
struct general_matrix_matrix_product<Index, double, LeftOrder, LeftConjugate, double, RightOrder,
                                     RightConjugate, ColMajor, 1> {
    typedef gebp_traits<double, double> Traits;

    static void run(Index rows, Index columns, Index depth, const double *left, Index leftStride,
                    const double *right, Index rightStride, double *result, Index, Index stride,
                    double alpha, level3_blocking<double, double> &,
                    GemmParallelInfo<Index> * = 0) {
        using namespace dfmerge_dense;
        multiply(rows, depth, columns, alpha, operand(left, leftStride, LeftOrder == RowMajor),
                 operand(right, rightStride, RightOrder == RowMajor), result, stride);
    }
};

template <typename Index, bool LeftConjugate, bool RightConjugate>
struct general_matrix_vector_product<Index, double, const_blas_data_mapper<double, Index, ColMajor>,
                                     ColMajor, LeftConjugate, double,
                                     const_blas_data_mapper<double, Index, RowMajor>,
                                     RightConjugate, Specialized> {
    static void run(Index rows, Index columns,
                    const const_blas_data_mapper<double, Index, ColMajor> &left,
                    const const_blas_data_mapper<double, Index, RowMajor> &right, double *result,
                    Index, double alpha) {
        dfmerge_dense::go_on();
        dfmerge_dense::loops->multiply_vector(rows, columns, alpha, left.data(), left.stride(),
                                              right.data(), right.stride(), result);
    }
};

template <typename Index, bool LeftConjugate, bool RightConjugate>
struct general_matrix_vector_product<Index, double, const_blas_data_mapper<double, Index, RowMajor>,
                                     RowMajor, LeftConjugate, double,
                                     const_blas_data_mapper<double, Index, ColMajor>,
                                     RightConjugate, Specialized> {
    static void run(Index rows, Index columns,
                    const const_blas_data_mapper<double, Index, RowMajor> &left,
                    const const_blas_data_mapper<double, Index, ColMajor> &right, double *result,
                    Index step, double alpha) {
        dfmerge_dense::go_on();
        dfmerge_dense::loops->multiply_transposed(columns, rows, alpha, left.data(), left.stride(),
                                                  right.data(), result, step);
    }
};

/* The triangle with everything else of the rectangle around it, rows x columns, stored by columns:
 * zeros, and ones on the diagonal where Mode says so. */
template <int Mode, int Order>
dfmerge_dense::Matrix filled_triangle(const double *data, dfmerge_dense::Index stride,
                                      dfmerge_dense::Index rows, dfmerge_dense::Index columns) {
    typedef Eigen::Matrix<double, Dynamic, Dynamic, Order> Stored;
    Map<const Stored, 0, OuterStride<> > there(data, rows, columns, OuterStride<>(stride));
    dfmerge_dense::Matrix whole = there.template triangularView<Mode>();
    return whole;
}

template <typename Index, int Mode, int LeftOrder, bool LeftConjugate, int RightOrder,
          bool RightConjugate>
struct product_triangular_matrix_matrix<double, Index, Mode, true, LeftOrder, LeftConjugate,
                                        RightOrder, RightConjugate, ColMajor, 1, Specialized> {
    static void run(Index rows, Index columns, Index depth, const double *left, Index leftStride,
                    const double *right, Index rightStride, double *result, Index, Index stride,
                    const double &alpha, level3_blocking<double, double> &) {
        using namespace dfmerge_dense;
        const dfmerge_dense::Matrix whole =
            filled_triangle<Mode, LeftOrder>(left, leftStride, rows, depth);
        multiply(rows, depth, columns, alpha, operand(whole.data(), rows, false),
                 operand(right, rightStride, RightOrder == RowMajor), result, stride);
    }
};

template <typename Index, int Mode, int LeftOrder, bool LeftConjugate, int RightOrder,
          bool RightConjugate>
struct product_triangular_matrix_matrix<double, Index, Mode, false, LeftOrder, LeftConjugate,
                                        RightOrder, RightConjugate, ColMajor, 1, Specialized> {
    static void run(Index rows, Index columns, Index depth, const double *left, Index leftStride,
                    const double *right, Index rightStride, double *result, Index, Index stride,
                    const double &alpha, level3_blocking<double, double> &) {
        using namespace dfmerge_dense;
        const dfmerge_dense::Matrix whole =
            filled_triangle<Mode, RightOrder>(right, rightStride, depth, columns);
        multiply(rows, depth, columns, alpha, operand(left, leftStride, LeftOrder == RowMajor),
                 operand(whole.data(), depth, false), result, stride);
    }
};

/* Eigen's own loops, which the reduction to a tridiagonal matrix calls for each column. */
template <typename Index, int UpLo>
struct selfadjoint_matrix_vector_product<double, Index, ColMajor, UpLo, false, false,
                                         Specialized> {
    static void run(Index size, const double *matrix, Index stride, const double *vector,
                    double *result, double alpha) {
        dfmerge_dense::go_on();
        selfadjoint_matrix_vector_product<double, Index, ColMajor, UpLo, false, false,
                                          BuiltIn>::run(size, matrix, stride, vector, result,
                                                        alpha);
    }
};

}  // namespace internal

/* As it was; the iterations for eigenvalues call it between two columns. */
template <>
inline void JacobiRotation<double>::makeGivens(const double &p, const double &q, double *r) {
    dfmerge_dense::go_on();
    makeGivens(p, q, r, internal::false_type());
}

/* The same sum, in eight lanes. */
template <>
inline double BDCSVD<MatrixXd>::secularEq(double mu, const ArrayRef &z, const ArrayRef &far,
                                          const IndicesRef &index, const ArrayRef &near,
                                          double shift) {
    dfmerge_dense::go_on();
    const Index count = index.size();
    const bool dense = count == 0 || index(count - 1) == count - 1;
    return dfmerge_dense::loops->secular(count, dense ? nullptr : index.data(), z.data(),
                                         near.data(), far.data(), shift, mu);
}

/* Without the vectors that nobody wants; left ones are not asked for. */
template <>
template <>
inline void BDCSVD<MatrixXd>::copyUV(
    const internal::UpperBidiagonalization<MatrixXd>::HouseholderUSequenceType &,
    const internal::UpperBidiagonalization<MatrixXd>::HouseholderVSequenceType &right,
    const MatrixXd &vectors, const MatrixXd &) {
    const Index count = (std::min)(dfmerge_dense::wanted_vectors, m_diagSize);
    m_matrixV = vectors.topLeftCorner(m_diagSize, count);
    right.applyThisOnTheLeft(m_matrixV);
}

}  // namespace Eigen

#endif
