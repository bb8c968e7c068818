/// Which elements of which models take part in a sum of task vectors or in an election, beside the
/// thresholds of their terms.
package protocol ElementMask {
  /// Calls `body` for runs of the elements, in order, with the models as the mask leaves them. The
  /// models' memory is good for the call only. Where the runs end depends on `count`, the types and the
  /// mask alone.
  func forEachRun(
    _ base: Elements, _ models: [Elements], count: Int, _ body: (MaskedRun) -> Void)
}

/// A run of elements whose mask has been applied.
package struct MaskedRun {
  /// The number of its first element, from 0.
  package let start: Int
  package let count: Int
  package let base: Elements
  /// The models, those elements being the base's that take no part; or their task vectors, with zeros
  /// in these places.
  package let models: [Elements]
  /// Whether `models` are task vectors.
  package let areChanges: Bool
}

extension Kernels {
  /// Calls `body` for all elements at once where there is no mask.
  static func forEachRun(
    _ base: Elements, _ models: [Elements], _ mask: (any ElementMask)?, _ count: Int,
    _ body: (MaskedRun) -> Void
  ) {
    guard count > 0 else { return }
    guard let mask else {
      return body(
        MaskedRun(start: 0, count: count, base: base, models: models, areChanges: false))
    }
    mask.forEachRun(base, models, count: count, body)
  }

  /// `out = x - b` in double, rounded once; `x` without `b`. There is room for whole steps of sixteen;
  /// what comes after the last element is 0.
  @inline(never)
  package static func differences(
    into out: UnsafeMutablePointer<Double>, _ x: Elements, minus b: Elements?, count: Int
  ) {
    let loops = CPULevel.current.loops
    let base = b?.input ?? .nothing
    let whole = count & ~(stepSize &- 1)
    if whole > 0 { loops.differences(into: out, x.input, minus: base, n: whole) }
    let live = count &- whole
    guard live > 0 else { return }
    FilledStep.with(operands: 2) { step in
      let last = step.copyWithZeros(x.input.advanced(by: whole), live: live)
      let under = step.copyWithZeros(base.advanced(by: whole), live: live)
      loops.differences(into: out + whole, last, minus: under, n: stepSize)
    }
  }

  /// Calls `body` for runs of the elements with the task vectors in double: a row per model of
  /// `stride` doubles, a multiple of sixteen, and as many rows more as are asked for, of any content.
  static func forEachDifferences(
    _ base: Elements?, _ models: [Elements], moreRows: Int, count: Int,
    _ body: (_ rows: UnsafeMutablePointer<Double>, _ stride: Int, _ start: Int, _ count: Int) ->
      Void
  ) {
    let rows = models.count &+ moreRows
    // Together not more than stays in a core's own cache.
    let stride = min(max((1 << 16) / 8 / rows & ~15, 64), 4096)
    withUnsafeTemporaryAllocation(byteCount: rows &* stride &* 8, alignment: 64) { memory in
      guard let address = memory.baseAddress else { return }
      let start = address.bindMemory(to: Double.self, capacity: rows &* stride)
      forEachChunk(count: count, size: stride) { chunk in
        let under = base?.advanced(by: chunk.start)
        for m in models.indices {
          differences(
            into: start + m &* stride, models[m].advanced(by: chunk.start), minus: under,
            count: chunk.count)
        }
        body(start, stride, chunk.start, chunk.count)
      }
    }
  }

  /// Calls `loop`, which writes whole steps, with `out`, or with `spare` where the last step is not
  /// whole; what it has written is in `out` then. `spare` has room for the whole steps.
  static func inWholeSteps(
    _ out: UnsafeMutablePointer<Double>, count: Int, spare: UnsafeMutablePointer<Double>,
    _ loop: (_ found: UnsafeMutablePointer<Double>, _ padded: Int) -> Void
  ) {
    let padded = (count &+ stepSize &- 1) & ~(stepSize &- 1)
    if padded == count { return loop(out, padded) }
    loop(spare, padded)
    out.update(from: spare, count: count)
  }
}
