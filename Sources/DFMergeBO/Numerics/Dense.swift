// Small dense linear algebra in double precision: what one Gaussian process needs, and no more.
//
// Goals, in order: (1) the same bits for the same input, on every machine with IEEE arithmetic
// (fixed order of every sum, no fused operations); (2) speed at n = 20 ... 500 on one core.
//
// Glossary:  n: order of the matrix   m: number of right-hand sides
//   l [n, n]: lower triangle, row-major with row length n; what lies above the diagonal is not read
//   a [n, n]: symmetric, row-major; only the lower triangle is read
//
// Pointers rather than arrays, because bounds checks keep these loops from being vectorised; every
// caller in this module owns the memory for the time of the call, and counts are the caller's.
enum Dense {
  /// Σ a[i] b[i], in four interleaved partial sums that are added as a fixed tree.
  @inline(__always)
  static func dot(
    _ a: UnsafePointer<Double>, _ b: UnsafePointer<Double>, _ count: Int
  ) -> Double {
    var s0 = 0.0
    var s1 = 0.0
    var s2 = 0.0
    var s3 = 0.0
    var i = 0
    while i &+ 4 <= count {
      s0 += a[i] * b[i]
      s1 += a[i &+ 1] * b[i &+ 1]
      s2 += a[i &+ 2] * b[i &+ 2]
      s3 += a[i &+ 3] * b[i &+ 3]
      i &+= 4
    }
    var sum = (s0 + s2) + (s1 + s3)
    while i < count {
      sum += a[i] * b[i]
      i &+= 1
    }
    return sum
  }

  /// y[i] += factor * x[i].
  @inline(__always)
  static func addScaled(
    _ y: UnsafeMutablePointer<Double>, _ factor: Double, _ x: UnsafePointer<Double>, _ count: Int
  ) {
    var i = 0
    while i < count {
      y[i] += factor * x[i]
      i &+= 1
    }
  }

  /// Replaces the lower triangle of A by L with A = L Lᵀ.
  ///
  /// Returns false, leaving A half done, where a pivot is not positive (A is not positive definite
  /// in double precision) or not finite. Cost: n³/6 multiply-adds.
  static func cholesky(_ a: UnsafeMutablePointer<Double>, _ n: Int) -> Bool {
    for i in 0..<n {
      let row = a + i * n
      for j in 0..<i {
        let other = a + j * n
        row[j] = (row[j] - dot(row, other, j)) / other[j]
      }
      let pivot = row[i] - dot(row, row, i)
      guard pivot > 0, pivot < .infinity else { return false }
      row[i] = pivot.squareRoot()
    }
    return true
  }

  /// Solves L x = b in place. Cost: n²/2.
  @inline(__always)
  static func solveLower(
    _ l: UnsafePointer<Double>, _ n: Int, _ b: UnsafeMutablePointer<Double>
  ) {
    for i in 0..<n {
      let row = l + i * n
      b[i] = (b[i] - dot(row, b, i)) / row[i]
    }
  }

  /// Solves Lᵀ x = b in place. Cost: n²/2.
  static func solveLowerTransposed(
    _ l: UnsafePointer<Double>, _ n: Int, _ b: UnsafeMutablePointer<Double>
  ) {
    for i in stride(from: n - 1, through: 0, by: -1) {
      let row = l + i * n
      b[i] /= row[i]
      addScaled(b, -b[i], row, i)
    }
  }

  /// Solves L X = B in place for B [n, m], row-major. Cost: m n²/2.
  static func solveLower(
    _ l: UnsafePointer<Double>, _ n: Int, _ b: UnsafeMutablePointer<Double>, columns m: Int
  ) {
    for i in 0..<n {
      let row = l + i * n
      let target = b + i * m
      for j in 0..<i { addScaled(target, -row[j], b + j * m, m) }
      let reciprocal = 1 / row[i]
      for k in 0..<m { target[k] *= reciprocal }
    }
  }

  /// Solves Lᵀ X = B in place for B [n, m], row-major. Cost: m n²/2.
  static func solveLowerTransposed(
    _ l: UnsafePointer<Double>, _ n: Int, _ b: UnsafeMutablePointer<Double>, columns m: Int
  ) {
    for i in stride(from: n - 1, through: 0, by: -1) {
      let row = l + i * n
      let source = b + i * m
      let reciprocal = 1 / row[i]
      for k in 0..<m { source[k] *= reciprocal }
      for j in 0..<i { addScaled(b + j * m, -row[j], source, m) }
    }
  }

  /// Writes the lower triangle of A⁻¹ = L⁻ᵀ L⁻¹ to `inverse`; `scratch` [n, n] receives L⁻¹.
  /// Cost: n³/3 multiply-adds.
  static func inverse(
    fromCholesky l: UnsafePointer<Double>, _ n: Int, into inverse: UnsafeMutablePointer<Double>,
    scratch: UnsafeMutablePointer<Double>
  ) {
    for i in 0..<n {
      let row = l + i * n
      let target = scratch + i * n
      for k in 0..<i { target[k] = 0 }
      for j in 0..<i { addScaled(target, row[j], scratch + j * n, j + 1) }
      let reciprocal = 1 / row[i]
      for k in 0..<i { target[k] *= -reciprocal }
      target[i] = reciprocal
    }
    for i in 0..<n {
      let target = inverse + i * n
      for k in 0...i { target[k] = 0 }
      for k in i..<n { addScaled(target, scratch[k * n + i], scratch + k * n, i + 1) }
    }
  }
}
