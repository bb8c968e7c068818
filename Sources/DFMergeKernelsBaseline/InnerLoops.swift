import CDFMergeShims

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
/// Common to the functions that take `dfmk_input` and `dfmk_output`: a step of elements at a time, of
/// any type, from memory through registers to memory; `n` is a multiple of sixteen, which all steps
/// divide; what is noticed is added to `noticed`. The others say what they take.
package enum InnerLoops {
  /// `out = x`, rounded where `out` has a narrower type.
  @inline(never)
  package static func convert(
    into out: dfmk_output, _ x: dfmk_input, n: Int, noticed: UnsafeMutablePointer<dfmk_noticed>
  ) {
    var tally = dfmk_tally()
    var i = 0
    while i < n {
      dfmk_store(out, Int64(i), dfmk_load(x, Int64(i)), &tally)
      i &+= stepSize
    }
    dfmk_finish(out, &tally, noticed)
  }

  /// `out = x`, bit by bit; the types are the same.
  @inline(never)
  package static func copy(
    into out: dfmk_output, _ x: dfmk_input, n: Int, noticed: UnsafeMutablePointer<dfmk_noticed>
  ) {
    var tally = dfmk_tally()
    var i = 0
    while i < n {
      dfmk_copy(x, out, Int64(i), &tally)
      i &+= stepSize
    }
    dfmk_finish(out, &tally, noticed)
  }

  /// `out = sum_m w_m x_m`, the weights being the models' factors.
  @inline(never)
  package static func addProducts(
    into out: dfmk_output, _ models: UnsafePointer<dfmk_model>, count: Int, n: Int,
    noticed: UnsafeMutablePointer<dfmk_noticed>
  ) {
    var tally = dfmk_tally()
    var i = 0
    while i < n {
      var total = StepDoubles()
      for m in 0..<count { total += dfmk_load(models[m].x, Int64(i)) * models[m].factor }
      dfmk_store(out, Int64(i), total, &tally)
      i &+= stepSize
    }
    dfmk_finish(out, &tally, noticed)
  }

  /// `out = b + sum_m c_m (x_m - b)`, the coefficients being the models' factors.
  @inline(never)
  package static func addTaskVectors(
    into out: dfmk_output, base: dfmk_input, _ models: UnsafePointer<dfmk_model>, count: Int,
    n: Int, noticed: UnsafeMutablePointer<dfmk_noticed>
  ) {
    var tally = dfmk_tally()
    var i = 0
    while i < n {
      let b = dfmk_load(base, Int64(i))
      var total = StepDoubles()
      for m in 0..<count { total += (dfmk_load(models[m].x, Int64(i)) - b) * models[m].factor }
      dfmk_store(out, Int64(i), b + total, &tally)
      i &+= stepSize
    }
    dfmk_finish(out, &tally, noticed)
  }
}
