import DFMergeCore

/// Which elements of which model take part, by independent draws: element `i` of model `m` is kept
/// with probability `densities[m]`.
///
/// Definition:  the draw is word `(i / 8) % 4` of block `8 (i / 32) + i % 8` of
///              `CounterRandom(seed: seed, stream: tensorKey + m 0x9e3779b97f4a7c15)`, a uniform
///              integer below 2^32; the element is kept when it is below `density 2^32`, rounded.
///              So blocks go by eight, as vector code makes them.
/// Determinism: a pure function of seed, tensor, model and element: no tile, thread, file layout
///              or CPU level matters.
/// Edge cases:  density 1 keeps every element, 0 none.
package struct BernoulliMask: ElementMask, Sendable {
  package let seed: UInt64
  package let tensorKey: UInt64
  /// The number, within its tensor, of the first element that a kernel is given.
  package let offset: Int
  /// One per model, from 0 to 1.
  package let densities: [Double]

  package init(seed: UInt64, tensorKey: UInt64, offset: Int, densities: [Double]) {
    self.seed = seed
    self.tensorKey = tensorKey
    self.offset = offset
    self.densities = densities
  }

  /// Draws below it keep an element.
  @inline(__always)
  func limit(_ model: Int) -> UInt64 {
    UInt64((min(max(densities[model], 0), 1) * 0x1p32).rounded())
  }

  @inline(__always)
  func stream(_ model: Int) -> UInt64 {
    tensorKey &+ UInt64(truncatingIfNeeded: model) &* 0x9e37_79b9_7f4a_7c15
  }

  /// Bytes that an element takes while it is masked: those of a type that holds both.
  @inline(__always)
  static func scratchWidth(_ x: Elements, _ base: Elements) -> Int {
    if x.dtype == base.dtype { return x.dtype.bitWidth >> 3 }
    return x.dtype == .f64 || base.dtype == .f64 ? 8 : 4
  }

  /// As many elements at a time as the copies stay in the cache.
  package func forEachRun(
    _ base: Elements, _ models: [Elements], count: Int, _ body: (MaskedRun) -> Void
  ) {
    precondition(densities.count == models.count, "One density per model.")
    let loops = CPULevel.current.loops
    var masked = models
    let slots = models.count &+ 1
    let width = models.reduce(2) { max($0, BernoulliMask.scratchWidth($1, base)) }
    // Whole groups of draws, where the mask starts with one.
    let size = min(max(BernoulliMask.copiedBytes / (slots &* width) & ~31, 64), 8192)
    withUnsafeTemporaryAllocation(byteCount: slots &* size &* width, alignment: 64) { memory in
      guard let spare = memory.baseAddress else { return }
      forEachChunk(count: count, size: size) { chunk in
        for m in models.indices {
          masked[m] = applied(
            to: models[m], base: base, chunk, model: m, scratch: spare + (m &+ 1) &* size &* width,
            spare: spare, loops: loops)
        }
        body(
          MaskedRun(
            start: chunk.start, count: chunk.count, base: base.advanced(by: chunk.start),
            models: masked, areChanges: false))
      }
    }
  }

  /// What the copies of masked elements take together: not more than stays in a core's own cache.
  private static let copiedBytes = 1 << 16

  /// The chunk of `x` where elements are kept, and of `base` where they are dropped: in `scratch`,
  /// or where `x` is when all are kept. `spare` is another scratch.
  private func applied(
    to x: Elements, base: Elements, _ chunk: Chunk, model: Int,
    scratch: UnsafeMutableRawPointer, spare: UnsafeMutableRawPointer,
    loops: any InnerLoopSet.Type
  ) -> Elements {
    let limit = limit(model)
    if limit == 1 << 32 { return x.advanced(by: chunk.start) }
    var (mine, other) = (x.advanced(by: chunk.start), base.advanced(by: chunk.start))
    if mine.dtype != other.dtype {
      let wide = BernoulliMask.scratchWidth(x, base) == 8
      widen(mine, count: chunk.count, wide: wide, into: scratch, loops: loops)
      widen(other, count: chunk.count, wide: wide, into: spare, loops: loops)
      mine = Elements(pointer: UnsafeRawPointer(scratch), dtype: wide ? .f64 : .f32)
      other = Elements(pointer: UnsafeRawPointer(spare), dtype: mine.dtype)
    }
    loops.drop(
      mine.pointer, base: other.pointer, into: scratch, n: chunk.count,
      width: mine.dtype.bitWidth >> 3, seed: seed, stream: stream(model),
      first: UInt64(truncatingIfNeeded: offset &+ chunk.start), limit: limit)
    return Elements(pointer: UnsafeRawPointer(scratch), dtype: mine.dtype)
  }
}
