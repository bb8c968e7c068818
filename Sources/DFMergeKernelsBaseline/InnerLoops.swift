/// The loops over raw memory in which the kernels spend their time.
///
/// This module is compiled several times from the same files: as `DFMergeKernelsBaseline` for any
/// CPU of the architecture, as `DFMergeKernelsV3` and `DFMergeKernelsV4` (folders of symbolic
/// links) for the levels x86-64-v3 and -v4. `DFMergeKernels` chooses one when the program runs.
///
/// All levels give the same bits: every operation is an IEEE one, and none is contracted.
///
/// The linker keeps one copy of weak functions - generic code of other modules, some of the
/// standard library's - whichever level it was compiled for. So this module imports no Swift
/// module, declares no struct, takes raw pointers and numbers only, and leaves to
/// `DFMergeKernels` whatever is not a loop; `Scripts/check-levels.py` tests what comes out.
///
/// Common to all functions: elements are F32, or F64 where `wide` is true; `n` is a multiple of
/// eight unless a function says otherwise; addresses may be unaligned; `x` and `w` hold one address
/// per model. Results and weights are doubles.
package enum InnerLoops {
  /// `out = sum_m w_m x_m`.
  @inline(never)
  package static func addProducts(
    into out: UnsafeMutableRawPointer, _ x: UnsafePointer<UnsafeRawPointer>,
    weights: UnsafePointer<Double>, models: Int, n: Int, wide: Bool
  ) {
    if wide {
      addProducts(DoubleLane.self, into: out, x, weights, models, n)
    } else {
      addProducts(FloatLane.self, into: out, x, weights, models, n)
    }
  }

  /// `out = b + sum_m c_m (x_m - b)`.
  @inline(never)
  package static func addTaskVectors(
    into out: UnsafeMutableRawPointer, base: UnsafeRawPointer,
    _ x: UnsafePointer<UnsafeRawPointer>, coefficients: UnsafePointer<Double>, models: Int, n: Int,
    wide: Bool
  ) {
    if wide {
      addTaskVectors(DoubleLane.self, into: out, base, x, coefficients, models, n)
    } else {
      addTaskVectors(FloatLane.self, into: out, base, x, coefficients, models, n)
    }
  }

  @inline(__always)
  private static func addProducts<X: Lane>(
    _: X.Type, into out: UnsafeMutableRawPointer, _ x: UnsafePointer<UnsafeRawPointer>,
    _ w: UnsafePointer<Double>, _ models: Int, _ n: Int
  ) {
    var i = 0
    while i < n {
      var total = Doubles()
      for m in 0..<models { total += X.load(x[m] + i &* X.width) * w[m] }
      out.storeBytes(of: total, toByteOffset: i &* 8, as: Doubles.self)
      i &+= 8
    }
  }

  @inline(__always)
  private static func addTaskVectors<X: Lane>(
    _: X.Type, into out: UnsafeMutableRawPointer, _ base: UnsafeRawPointer,
    _ x: UnsafePointer<UnsafeRawPointer>, _ c: UnsafePointer<Double>, _ models: Int, _ n: Int
  ) {
    var i = 0
    while i < n {
      let b = X.load(base + i &* X.width)
      var total = Doubles()
      for m in 0..<models { total += (X.load(x[m] + i &* X.width) - b) * c[m] }
      out.storeBytes(of: b + total, toByteOffset: i &* 8, as: Doubles.self)
      i &+= 8
    }
  }
}
