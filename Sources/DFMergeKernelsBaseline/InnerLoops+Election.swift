import CDFMergeShims

// Sign election over task vectors: see `SignElection` of `DFMergeKernels` and `dfmerge_election.h`.
// Of the models, only the elements are used, which are the differences from the base themselves
// where they are `changes`; `numbers` holds a model's lower and upper threshold, factor and weight, one
// model after the other.
extension InnerLoops {
  /// `out = b + scale * a`, `a` being what the terms of the elected sign come to.
  ///
  /// - `byCount`: the sign of most terms is elected, otherwise that of their sum.
  /// - `aggregate`: 0 is `sum(v) / sum(w)`, 1 is `sum(v)`, 2 the largest by magnitude.
  /// - `zeroSign`: 1, -1 or 0, the sign that is elected where the vote is a tie; 0 keeps nothing.
  @inline(never)
  package static func elect(
    into out: dfmk_output, base: dfmk_input, _ models: UnsafePointer<dfmk_model>, count: Int,
    numbers: UnsafePointer<Double>, changes: Bool, byCount: Bool, aggregate: Int, zeroSign: Double,
    scale: Double, n: Int, noticed: UnsafeMutablePointer<dfmk_noticed>
  ) {
    // One loop for every combination: the choices are constants within it.
    @inline(__always)
    func loop(_ byCount: Bool, _ aggregate: Int32) {
      dfmk_elect(
        out, base, models, numbers, Int64(count), Int64(n), changes, byCount, aggregate, zeroSign,
        scale, noticed)
    }
    switch (byCount, aggregate) {
    case (false, 0): loop(false, 0)
    case (false, 1): loop(false, 1)
    case (false, _): loop(false, 2)
    case (true, 0): loop(true, 0)
    case (true, 1): loop(true, 1)
    case (true, _): loop(true, 2)
    }
  }

  /// `out = b + sum(v_m)`: every term, in the models' order.
  @inline(never)
  package static func addTerms(
    into out: dfmk_output, base: dfmk_input, _ models: UnsafePointer<dfmk_model>, count: Int,
    numbers: UnsafePointer<Double>, changes: Bool, n: Int,
    noticed: UnsafeMutablePointer<dfmk_noticed>
  ) {
    dfmk_add_terms(out, base, models, numbers, Int64(count), Int64(n), changes, noticed)
  }

  /// The number of elements whose vote is positive less the number of those whose vote is negative.
  @inline(never)
  package static func signBalance(
    base: dfmk_input, _ models: UnsafePointer<dfmk_model>, count: Int,
    numbers: UnsafePointer<Double>, changes: Bool, byCount: Bool, n: Int
  ) -> Int {
    if byCount {
      return Int(dfmk_sign_balance(base, models, numbers, Int64(count), Int64(n), changes, true))
    }
    return Int(dfmk_sign_balance(base, models, numbers, Int64(count), Int64(n), changes, false))
  }
}
