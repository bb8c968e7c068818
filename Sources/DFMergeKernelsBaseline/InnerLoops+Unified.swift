import CDFMergeShims

// One task vector for all models: see `dfmerge_unified.h`. Of the models, only the elements are used.
extension InnerLoops {
  /// `out = u`; with `bits`, one address per model, the bits of the elements that it has.
  @inline(never)
  package static func unify(
    into out: dfmk_output, base: dfmk_input, _ models: UnsafePointer<dfmk_model>, count: Int,
    bits: UnsafePointer<UnsafeMutableRawPointer?>?, n: Int,
    noticed: UnsafeMutablePointer<dfmk_noticed>
  ) {
    dfmk_unify(out, base, models, Int64(count), bits, Int64(n), noticed)
  }

  /// `out = b + factor u` where model number `task` has the element, else `b`.
  @inline(never)
  package static func addUnified(
    into out: dfmk_output, base: dfmk_input, _ models: UnsafePointer<dfmk_model>, count: Int,
    task: Int, factor: Double, n: Int, noticed: UnsafeMutablePointer<dfmk_noticed>
  ) {
    dfmk_add_unified(out, base, models, Int64(count), Int64(task), factor, Int64(n), noticed)
  }

  /// `out = b + factor v` where the element's bit is set, else `b`; everywhere without `bits`.
  @inline(never)
  package static func addByBits(
    into out: dfmk_output, base: dfmk_input, _ vector: dfmk_input, bits: UnsafeRawPointer?,
    factor: Double, n: Int, noticed: UnsafeMutablePointer<dfmk_noticed>
  ) {
    dfmk_add_by_bits(out, base, vector, bits, factor, Int64(n), noticed)
  }

  /// For each model, adds `|x - b|` to eight sums in turn, and `|u|` where it has the element to the
  /// next eight, doubles at `sums`.
  @inline(never)
  package static func addUnifiedSums(
    base: dfmk_input, _ models: UnsafePointer<dfmk_model>, count: Int,
    to sums: UnsafeMutablePointer<Double>, n: Int
  ) {
    dfmk_add_unified_sums(base, models, Int64(count), sums, Int64(n))
  }
}
