import DFMergeCore

/// A range of elements that is worked on at once: `count` of them, padded to whole vectors.
struct Chunk {
  /// Its first element.
  var start: Int
  var count: Int
  /// `count` rounded up to a multiple of eight.
  @inline(__always) var padded: Int { (count &+ 7) & ~7 }
  @inline(__always) var isWhole: Bool { count & 7 == 0 }
}

/// Cuts `0 ..< count` into chunks of at most `size` elements, a multiple of eight. All are whole
/// vectors but the last, which is what is left over: fewer than eight elements.
@inline(__always)
func forEachChunk(count: Int, size: Int, _ body: (Chunk) -> Void) {
  var start = 0
  while start < count {
    let left = count &- start
    let chunk = Chunk(start: start, count: left < 8 ? left : min(size, left & ~7))
    body(chunk)
    start &+= chunk.count
  }
}

/// Where the elements of `chunk` can be read as floats (`wide` false) or doubles (`wide` true):
/// in place when they are that already, otherwise widened into `scratch`, where the elements after
/// the last are 0. Widening is exact. `wide` false is for sources that are not F64.
@inline(__always)
func staged(
  _ source: Elements, _ chunk: Chunk, wide: Bool, scratch: UnsafeMutableRawPointer,
  loops: any InnerLoopSet.Type
) -> UnsafeRawPointer {
  let elements = source.advanced(by: chunk.start)
  if chunk.isWhole, source.dtype == (wide ? .f64 : .f32) { return elements.pointer }
  widen(elements, count: chunk.count, wide: wide, into: scratch, loops: loops)
  if !chunk.isWhole {
    let width = wide ? 8 : 4
    (scratch + chunk.count &* width).initializeMemory(
      as: UInt8.self, repeating: 0, count: (chunk.padded &- chunk.count) &* width)
  }
  return UnsafeRawPointer(scratch)
}

/// `count` elements as doubles (`wide`) or floats.
func widen(
  _ source: Elements, count: Int, wide: Bool, into out: UnsafeMutableRawPointer,
  loops: any InnerLoopSet.Type
) {
  switch (source.dtype, wide) {
  case (.bf16, _): loops.widenBF16(source.pointer, into: out, n: count, wide: wide)
  case (.f16, _): loops.widenF16(source.pointer, into: out, n: count, wide: wide)
  case (.f32, true): loops.widenF32(source.pointer, into: out, n: count)
  case (.f32, false): out.copyMemory(from: source.pointer, byteCount: count &* 4)
  default: out.copyMemory(from: source.pointer, byteCount: count &* 8)
  }
}
