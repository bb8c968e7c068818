import DFMergeCore

extension Kernels {
  /// Counts the bits `digit` of the magnitudes `|model - base|` into `counters`, and returns how
  /// many are NaN. See ``MagnitudeHistogram``.
  @inline(never)
  static func countMagnitudes(
    _ model: Elements, base: Elements, _ digit: MagnitudeSelection.Digit,
    into counters: UnsafeMutablePointer<UInt32>, count: Int
  ) -> Int {
    let loops = CPULevel.current.loops
    var undefined = 0
    forEachTaskVectorChunk(model, base, wide: digit.isWide, count, loops) { x, b, chunk in
      if digit.isWide {
        undefined &+= loops.countWide(
          x, base: b, into: counters, shift: digit.shift, upper: digit.upper,
          rounds: roundsToFloat(model, base), n: chunk.count)
      } else if digit.shift > 0 {
        undefined &+= loops.countUpper(x, base: b, into: counters, n: chunk.count)
      } else {
        undefined &+= loops.countLower(
          x, base: b, into: counters, upper: digit.upper, n: chunk.count)
      }
    }
    return undefined
  }

  /// The `ranks[k]`-th largest magnitude, for each k, of one run of elements, a row or a small tensor,
  /// in one read; as ``MagnitudeSelection`` defines it.
  ///
  /// Returns the number of NaN differences too. Memory: 4 bytes per element, 8 where an operand is
  /// F64, on the heap where that is much.
  @inline(never)
  package static func largestMagnitudes(
    _ ranks: [Int], _ model: Elements, base: Elements, isExact: Bool = false, count: Int
  ) -> (thresholds: [Double], undefined: Int) {
    let isWide = model.dtype == .f64 || base.dtype == .f64
    let known = ranks.map {
      MagnitudeSelection(rank: $0, of: count, isWide: isWide, isExact: isExact).threshold
    }
    if known.allSatisfy({ $0 != nil }) { return (known.compactMap { $0 }, 0) }
    let loops = CPULevel.current.loops
    let width = isWide ? 8 : 4
    return withUnsafeTemporaryAllocation(byteCount: count &* width, alignment: 64) { keys in
      guard let start = keys.baseAddress else { return ([], 0) }
      let undefined = magnitudeKeys(into: start, model, base: base, count: count)
      var below: Int64 = 0
      let found = zip(ranks, known).map { rank, threshold -> Double in
        if let threshold { return threshold }
        let key = loops.key(
          at: count &- rank, of: start, n: count, wide: isWide, below: &below)
        return isWide
          ? Double(bitPattern: key)
          : Double(Float(bitPattern: UInt32(truncatingIfNeeded: key)))
      }
      return (found, undefined)
    }
  }

  /// The bits of the magnitudes `|model - base|`: 32-bit integers, 64-bit ones where an operand is F64,
  /// as ``MagnitudeSelection`` defines them. Returns how many differences are NaN, whose key is 0.
  @inline(never)
  static func magnitudeKeys(
    into keys: UnsafeMutableRawPointer, _ model: Elements, base: Elements, count: Int
  ) -> Int {
    let isWide = model.dtype == .f64 || base.dtype == .f64
    let loops = CPULevel.current.loops
    var undefined = 0
    forEachTaskVectorChunk(model, base, wide: isWide, count, loops) { x, b, chunk in
      undefined &+= loops.magnitudes(
        of: x, base: b, into: keys + chunk.start &* (isWide ? 8 : 4), n: chunk.count,
        wide: isWide, rounds: false)
    }
    return undefined
  }
}

/// Calls `body` for each chunk with the elements of model and base as floats, or as doubles.
@inline(__always)
private func forEachTaskVectorChunk(
  _ model: Elements, _ base: Elements, wide: Bool, _ count: Int, _ loops: any InnerLoopSet.Type,
  _ body: (_ x: UnsafeRawPointer, _ b: UnsafeRawPointer, Chunk) -> Void
) {
  Workspace.with(slots: 2) { workspace in
    forEachChunk(count: count, size: workspace.chunkSize) { chunk in
      let b = staged(base, chunk, wide: wide, scratch: workspace.slot(0), loops: loops)
      let x = staged(model, chunk, wide: wide, scratch: workspace.slot(1), loops: loops)
      body(x, b, chunk)
    }
  }
}
