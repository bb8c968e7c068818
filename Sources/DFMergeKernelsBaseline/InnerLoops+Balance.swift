import CDFMergeShims

// Task vectors of all models at one element compared: see `dfmerge_balance.h`. `tau` holds a row per
// model, `stride` doubles each; rows have room for whole steps after `n` elements.
extension InnerLoops {
  /// `out = x - b`, or `x` where there is no `b`; `n` is a multiple of sixteen.
  @inline(never)
  package static func differences(
    into out: UnsafeMutablePointer<Double>, _ x: dfmk_input, minus b: dfmk_input, n: Int
  ) {
    dfmk_differences(out, x, b, Int64(n))
  }

  /// The population variance over the models.
  @inline(never)
  package static func spread(
    into out: UnsafeMutablePointer<Double>, _ tau: UnsafePointer<Double>, stride: Int, count: Int,
    n: Int, rounds: Bool
  ) {
    dfmk_spread(out, tau, Int64(stride), Int64(count), Int64(n), rounds)
  }

  /// Makes `d` 0 where `values` are below the threshold.
  @inline(never)
  package static func keep(
    _ d: UnsafeMutablePointer<Double>, above threshold: Double, values: UnsafePointer<Double>,
    n: Int
  ) {
    dfmk_keep_above(d, values, Int64(n), threshold)
  }

  /// Adds to the two counts at `found` how many of `|x - b|` are above each limit; `n` is a multiple of
  /// sixteen.
  @inline(never)
  package static func countAbove(
    _ first: Double, _ second: Double, of x: dfmk_input, minus b: dfmk_input, n: Int,
    into found: UnsafeMutablePointer<Int64>
  ) {
    dfmk_count_above(x, b, Int64(n), first, second, found)
  }

  /// The balances of model `model` in PCB-Merging; `kind` is 0 for deltas, 1 for shares, 2 for pairs.
  @inline(never)
  package static func balances(
    into out: UnsafeMutablePointer<Double>, _ tau: UnsafePointer<Double>, stride: Int, count: Int,
    model: Int, n: Int, numbers: UnsafePointer<Double>, shift: Double, rounds: Bool, kind: Int
  ) {
    // One loop for every kind, which is a constant within it.
    @inline(__always)
    func loop(_ kind: Int32) {
      dfmk_pcb_balances(
        out, tau, Int64(stride), Int64(count), Int64(model), Int64(n), numbers, shift, rounds, kind)
    }
    switch kind {
    case 0: loop(0)
    case 1: loop(1)
    default: loop(2)
    }
  }

  /// The merged task vector of PCB-Merging.
  @inline(never)
  package static func mergeBalanced(
    into out: UnsafeMutablePointer<Double>, _ tau: UnsafePointer<Double>, stride: Int, count: Int,
    n: Int, numbers: UnsafePointer<Double>, shift: Double, rounds: Bool, kind: Int
  ) {
    @inline(__always)
    func loop(_ kind: Int32) {
      dfmk_pcb_merge(
        out, tau, Int64(stride), Int64(count), Int64(n), numbers, shift, rounds, kind)
    }
    switch kind {
    case 0: loop(0)
    case 1: loop(1)
    default: loop(2)
    }
  }
}
