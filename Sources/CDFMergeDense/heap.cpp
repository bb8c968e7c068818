#include <algorithm>

#include "include/dfmerge_dense.h"
#include "loops.h"

/* What is allocated at once, at most, in doubles; the allocator's own bytes are among the
 * constants. Shapes here are of allocations in the files that are named. */

namespace {

/* Small vectors, and what the allocator adds. */
const int64_t odds = 2048;

/* Reflections that Eigen applies together, at most. */
int64_t reflections(int64_t n) { return std::min<int64_t>(48, n); }

/* A size beyond what can be allocated stays one, instead of running over. */
int64_t times(int64_t a, int64_t b) {
    int64_t product;
    return __builtin_mul_overflow(a, b, &product) ? INT64_MAX / 64 : std::min(product, INT64_MAX / 64);
}

int64_t packed(int64_t rows, int64_t depth, int64_t columns) {
    return dfmd_packed_count(rows, depth, columns);
}

int64_t bytes(int64_t doubles) { return times(8, doubles); }

/* thin.cpp, Thin::decompose: the matrix; then QR, or Eigen's divide and conquer. */
int64_t decompose(int64_t m, int64_t n) {
    const int64_t qr = times(m, n) + times(reflections(n), m + n);
    const int64_t divide = times(10, times(n, n)) + times(2 * reflections(n), n);
    return times(m, n) + std::max(qr, divide) + packed(m, n, n) + odds;
}

/* Thin::left where QR is needed: matrix, V, and what is to be orthogonal three times at most. */
int64_t left(int64_t m, int64_t n, int64_t count) {
    return times(m, n) + times(n, n) + 2 * times(m, count) + times(reflections(n), m + 2 * n) +
           packed(m, n, n) + odds;
}

}  // namespace

extern "C" int64_t dfmd_multiply_bytes(int64_t rows, int64_t depth, int64_t columns) {
    return bytes(packed(columns, depth, rows) + odds);
}

extern "C" int64_t dfmd_svd_bytes(int64_t rows, int64_t columns, int64_t count) {
    const int64_t m = std::max(rows, columns), n = std::min(rows, columns);
    return bytes(std::max(decompose(m, n), left(m, n, count)));
}

extern "C" int64_t dfmd_polar_bytes(int64_t rows, int64_t columns) {
    const int64_t m = std::max(rows, columns), n = std::min(rows, columns);
    return bytes(std::max(decompose(m, n), left(m, n, n) + times(m, n)));
}

extern "C" int64_t dfmd_solve_symmetric_bytes(int64_t n, int64_t columns) {
    return bytes(4 * times(n, n) + 3 * times(n, columns) + packed(n, n, std::max(n, columns)) +
                 times(16, n) + odds);
}
