import CDFMergeShims

extension InnerLoops {
  /// `acc += (x - b) (y - b)`, or `x y` where there is no `b`; `acc` is the output and F64.
  @inline(never)
  package static func accumulateProducts(
    into acc: dfmk_output, _ x: dfmk_input, _ y: dfmk_input, minus b: dfmk_input, n: Int
  ) {
    // What the sums look like is the business of whoever reads them.
    var tally = dfmk_tally()
    let sums = dfmk_input(start: UnsafePointer(acc.start), type: acc.type, ahead: x.ahead)
    var i = 0
    while i < n {
      var first = dfmk_load(x, Int64(i))
      var second = dfmk_load(y, Int64(i))
      if b.start != nil {
        let origin = dfmk_load(b, Int64(i))
        first -= origin
        second -= origin
      }
      dfmk_store(acc, Int64(i), dfmk_load(sums, Int64(i)) + first * second, &tally)
      i &+= stepSize
    }
  }

  /// `out = b + sum_m f_m (x_m - b)`, or `sum_m f_m x_m` where there is no `b`; the factors of the
  /// elements are the models' `lower`.
  @inline(never)
  package static func addScaled(
    into out: dfmk_output, base: dfmk_input, _ models: UnsafePointer<dfmk_model>, count: Int,
    n: Int, noticed: UnsafeMutablePointer<dfmk_noticed>
  ) {
    var tally = dfmk_tally()
    var i = 0
    while i < n {
      var origin = StepDoubles()
      if base.start != nil { origin = dfmk_load(base, Int64(i)) }
      var total = StepDoubles()
      for m in 0..<count {
        let factor = dfmk_load(models[m].lower, Int64(i))
        total += (dfmk_load(models[m].x, Int64(i)) - origin) * factor
      }
      dfmk_store(out, Int64(i), origin + total, &tally)
      i &+= stepSize
    }
    dfmk_finish(out, &tally, noticed)
  }
}
