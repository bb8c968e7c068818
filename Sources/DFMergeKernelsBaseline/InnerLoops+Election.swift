import CDFMergeShims

// Sign election over task vectors: see `SignElection` of `DFMergeKernels` and `dfmerge_election.h`.
// `numbers` holds a model's threshold, factor and weight, one model after the other.
extension InnerLoops {
  /// `out = b + scale * a`, `a` being what the terms of the elected sign come to.
  ///
  /// - `byCount`: the sign of most terms is elected, otherwise that of their sum.
  /// - `aggregate`: 0 is `sum(v) / sum(w)`, 1 is `sum(v)`, 2 the largest by magnitude.
  /// - `zeroSign`: 1, -1 or 0, the sign that is elected where the vote is a tie; 0 keeps nothing.
  @inline(never)
  package static func elect(
    into out: UnsafeMutableRawPointer, base: UnsafeRawPointer,
    _ x: UnsafePointer<UnsafeRawPointer>, numbers: UnsafePointer<Double>, models: Int, n: Int,
    wide: Bool, byCount: Bool, aggregate: Int, zeroSign: Double, scale: Double
  ) {
    // One loop for every combination: the choices are constants within it.
    @inline(__always)
    func loop(_ wide: Bool, _ byCount: Bool, _ aggregate: Int32) {
      dfmk_elect(
        out, base, x, numbers, Int64(models), Int64(n), wide, byCount, aggregate, zeroSign, scale)
    }
    switch (wide, byCount, aggregate) {
    case (false, false, 0): loop(false, false, 0)
    case (false, false, 1): loop(false, false, 1)
    case (false, false, _): loop(false, false, 2)
    case (false, true, 0): loop(false, true, 0)
    case (false, true, 1): loop(false, true, 1)
    case (false, true, _): loop(false, true, 2)
    case (true, false, 0): loop(true, false, 0)
    case (true, false, 1): loop(true, false, 1)
    case (true, false, _): loop(true, false, 2)
    case (true, true, 0): loop(true, true, 0)
    case (true, true, 1): loop(true, true, 1)
    case (true, true, _): loop(true, true, 2)
    }
  }

  /// `out = b + sum(v_m)`: every term, in the models' order.
  @inline(never)
  package static func addTerms(
    into out: UnsafeMutableRawPointer, base: UnsafeRawPointer,
    _ x: UnsafePointer<UnsafeRawPointer>, numbers: UnsafePointer<Double>, models: Int, n: Int,
    wide: Bool
  ) {
    if wide {
      dfmk_add_terms(out, base, x, numbers, Int64(models), Int64(n), true)
    } else {
      dfmk_add_terms(out, base, x, numbers, Int64(models), Int64(n), false)
    }
  }

  /// The number of elements whose vote is positive less the number of those whose vote is negative.
  @inline(never)
  package static func signBalance(
    base: UnsafeRawPointer, _ x: UnsafePointer<UnsafeRawPointer>, numbers: UnsafePointer<Double>,
    models: Int, n: Int, wide: Bool, byCount: Bool
  ) -> Int {
    @inline(__always)
    func loop(_ wide: Bool, _ byCount: Bool) -> Int {
      Int(dfmk_sign_balance(base, x, numbers, Int64(models), Int64(n), wide, byCount))
    }
    switch (wide, byCount) {
    case (false, false): return loop(false, false)
    case (false, true): return loop(false, true)
    case (true, false): return loop(true, false)
    case (true, true): return loop(true, true)
    }
  }
}
