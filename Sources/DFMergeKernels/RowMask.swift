import DFMergeCore

/// Which elements take part by their place among the magnitudes `|tau|` of their row.
///
/// Definition:  the places of a row of n elements go from 0, the smallest magnitude, to n - 1; equal
///              magnitudes have the order of their elements. `tau` as ``MagnitudeSelection`` defines
///              it.
/// Edge cases:  a NaN difference counts as 0 and always takes part, so that it is seen.
/// Determinism: a function of the row, and for draws of seed, tensor, model and element.
/// Cost:        for places a few looks at the keys of the row, which are in the cache; for draws, a
///              sort of the row.
package struct RowMask: ElementMask {
  /// What of a model takes part.
  package enum Rule: Hashable, Sendable {
    case all
    /// The elements at these places, within `0 ..< n`.
    case places(Range<Int>)
    /// Each with probability `q = lowest + (highest - lowest) place / (n - 1)`, the mean of both for
    /// rows of one element: kept where its draw, as in ``BernoulliMask``, is below `q 2^32`, rounded;
    /// divided by q if it `rescales`.
    case drawn(lowest: Double, highest: Double, rescales: Bool)
  }

  private let rules: [Rule]
  private let rowLength: Int
  private let draws: BernoulliMask
  private let memory: UnsafeMutableRawBufferPointer

  /// - Parameters:
  ///   - rules: one per model.
  ///   - rowLength: 1 or more, below 2^32. Runs of elements that the mask is for are whole rows.
  ///   - memory: `byteCount(models:rowLength:)` bytes, aligned to 64, of any content; it has to outlive
  ///     the mask.
  ///   - seed, tensorKey, offset: of the draws.
  package init(
    rules: [Rule], rowLength: Int, memory: UnsafeMutableRawBufferPointer, seed: UInt64 = 0,
    tensorKey: UInt64 = 0, offset: Int = 0
  ) {
    self.rules = rules
    self.rowLength = rowLength
    self.memory = memory
    draws = BernoulliMask(seed: seed, tensorKey: tensorKey, offset: offset, densities: [])
  }

  /// Elements that are worked on at a time: whole rows, one at least.
  private static func chunkLength(_ rowLength: Int) -> Int {
    max(4096 / max(rowLength, 1), 1) &* max(rowLength, 1)
  }

  /// The memory of a mask: a task vector per model, in double, keys, ranks and draws of a chunk of rows,
  /// and what sorting a row takes.
  package static func byteCount(models: Int, rowLength: Int) -> Int {
    let chunk = (chunkLength(rowLength) &+ 15) & ~15
    return (models &+ 2) &* chunk &* 8 &+ RowOrder.words(rowLength) &* 8
  }

  package func forEachRun(
    _ base: Elements, _ models: [Elements], count: Int, _ body: (MaskedRun) -> Void
  ) {
    precondition(rules.count == models.count, "One rule per model.")
    precondition(
      memory.count >= RowMask.byteCount(models: models.count, rowLength: rowLength),
      "The mask has too little memory.")
    guard let start = memory.baseAddress else { return }
    let length = RowMask.chunkLength(rowLength)
    let stride = (length &+ 15) & ~15
    let rows = start.bindMemory(to: Double.self, capacity: models.count &* stride)
    let rest = start + models.count &* stride &* 8
    let changes = models.indices.map {
      Elements(pointer: UnsafeRawPointer(rows + $0 &* stride), dtype: .f64)
    }
    var done = 0
    while done < count {
      let n = min(length, count &- done)
      let under = base.advanced(by: done)
      for (m, model) in models.enumerated() {
        let own = model.advanced(by: done)
        Kernels.differences(
          into: rows + m &* stride, own, minus: under, count: n)
        apply(rules[m], m, to: rows + m &* stride, own, under, at: done, n, rest, stride)
      }
      body(MaskedRun(start: done, count: n, base: under, models: changes, areChanges: true))
      done &+= n
    }
  }

  private func apply(
    _ rule: Rule, _ model: Int, to d: UnsafeMutablePointer<Double>, _ x: Elements, _ b: Elements,
    at start: Int, _ count: Int, _ keys: UnsafeMutableRawPointer, _ stride: Int
  ) {
    let loops = CPULevel.current.loops
    let isWide = x.dtype == .f64 || b.dtype == .f64
    switch rule {
    case .all: return
    case .places(let places):
      if places.count == rowLength { return }
      if places.isEmpty {
        // Nothing but NaN is from 0 to 0; keys of any content will do.
        keys.initializeMemory(as: UInt8.self, repeating: 0, count: count &* 8)
        return loops.keep(d, from: 0, to: 0, keys: keys, n: count, wide: isWide)
      }
      _ = Kernels.magnitudeKeys(into: keys, x, base: b, count: count)
      for row in Swift.stride(from: 0, to: count, by: rowLength) {
        RowMask.keep(
          places, of: d + row, keys: keys + row &* (isWide ? 8 : 4), rowLength, isWide, loops)
      }
    case .drawn(let lowest, let highest, let rescales):
      _ = Kernels.magnitudeKeys(into: keys, x, base: b, count: count)
      let ranks = (keys + stride &* 8).bindMemory(to: UInt32.self, capacity: stride)
      let draws = (keys + stride &* 12).bindMemory(to: UInt32.self, capacity: stride)
      let memory = (keys + stride &* 16).bindMemory(
        to: UInt64.self, capacity: RowOrder.words(rowLength))
      for row in Swift.stride(from: 0, to: count, by: rowLength) {
        RowOrder.rank(
          UnsafeRawPointer(keys + row &* (isWide ? 8 : 4)), isWide: isWide, count: rowLength,
          into: ranks + row, memory: memory, loops)
      }
      loops.draws(
        into: draws, n: count, seed: self.draws.seed, stream: self.draws.stream(model),
        first: UInt64(truncatingIfNeeded: self.draws.offset &+ start))
      let isSingle = rowLength == 1
      loops.keepByRank(
        d, ranks: ranks, draws: draws, n: count,
        lowest: isSingle ? lowest + (highest - lowest) / 2 : lowest,
        step: isSingle ? 0 : (highest - lowest) / Double(rowLength &- 1), rescales: rescales)
    }
  }

  /// Makes the differences of a row 0 that are not at these places.
  private static func keep(
    _ places: Range<Int>, of d: UnsafeMutablePointer<Double>, keys: UnsafeRawPointer, _ count: Int,
    _ isWide: Bool, _ loops: any InnerLoopSet.Type
  ) {
    let top: UInt64 = isWide ? 0x7fff_ffff_ffff_ffff : 0x7fff_ffff
    var (belowLow, belowHigh) = (Int64(0), Int64(places.upperBound))
    let low = loops.key(
      at: places.lowerBound, of: keys, n: count, wide: isWide, below: &belowLow)
    var high = top
    if places.upperBound < count {
      high = loops.key(
        at: places.upperBound, of: keys, n: count, wide: isWide, below: &belowHigh)
    }
    if belowLow == places.lowerBound, belowHigh == places.upperBound {
      return loops.keep(d, from: low, to: high, keys: keys, n: count, wide: isWide)
    }
    // Some of those that are equal take part: from which of the low ones on, up to which of the
    // high ones.
    let firstLow = places.lowerBound &- Int(belowLow)
    let endHigh = places.upperBound &- Int(belowHigh)
    var (lows, highs) = (0, 0)
    for i in 0..<count {
      let key =
        isWide
        ? keys.loadUnaligned(fromByteOffset: i &* 8, as: UInt64.self)
        : UInt64(keys.loadUnaligned(fromByteOffset: i &* 4, as: UInt32.self))
      var isKept = key >= low && key <= high
      if key == low {
        isKept = isKept && lows >= firstLow
        lows &+= 1
      }
      if key == high {
        isKept = isKept && highs < endHigh
        highs &+= 1
      }
      if !isKept, !d[i].isNaN { d[i] = 0 }
    }
  }
}
