import CDFMergeShims

// Sign election over task vectors: see `SignElection` of `DFMergeKernels` and `dfmerge_election.h`.
// Of the models, only the elements are used, which are the differences from the base themselves
// where they are `changes`; `numbers` holds a model's lower and upper threshold, factor and weight, one
// model after the other.
extension InnerLoops {
  /// `out = b + scale * a`, `a` being what the terms of the elected sign come to.
  ///
  /// - `vote`: the sign that is elected: 0 that of the sum of the terms, 1 that of most terms, 2 that of
  ///   the sum of the differences.
  /// - `aggregate`: 0 is `sum(v) / max(sum(w), leastWeight)`, 1 is `sum(v)`, 2 the largest by magnitude.
  /// - `zeroSign`: 1, -1 or 0, the sign that is elected where the vote is a tie; 0 keeps nothing.
  @inline(never)
  package static func elect(
    into out: dfmk_output, base: dfmk_input, _ models: UnsafePointer<dfmk_model>, count: Int,
    numbers: UnsafePointer<Double>, changes: Bool, vote: Int, aggregate: Int, zeroSign: Double,
    scale: Double, leastWeight: Double, n: Int, noticed: UnsafeMutablePointer<dfmk_noticed>
  ) {
    // One loop for every combination: the choices are constants within it.
    @inline(__always)
    func loop(_ vote: Int32, _ aggregate: Int32) {
      dfmk_elect(
        out, base, models, numbers, Int64(count), Int64(n), changes, vote, aggregate, zeroSign,
        scale, leastWeight, noticed)
    }
    @inline(__always)
    func loops(_ vote: Int32) {
      switch aggregate {
      case 0: loop(vote, 0)
      case 1: loop(vote, 1)
      default: loop(vote, 2)
      }
    }
    switch vote {
    case 0: loops(0)
    case 1: loops(1)
    default: loops(2)
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
    numbers: UnsafePointer<Double>, changes: Bool, vote: Int, n: Int
  ) -> Int {
    @inline(__always)
    func balance(_ vote: Int32) -> Int {
      Int(dfmk_sign_balance(base, models, numbers, Int64(count), Int64(n), changes, vote))
    }
    return switch vote {
    case 0: balance(0)
    case 1: balance(1)
    default: balance(2)
    }
  }
}
