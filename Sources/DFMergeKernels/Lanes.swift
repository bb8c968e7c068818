import CDFMergeShims
import DFMergeCore

/// Eight elements at a time, as doubles: what the inner loops compute with.
typealias Doubles = SIMD8<Double>

/// How an inner loop reads its inputs: the type is a compile-time choice, so that each loop is
/// compiled once for floats and once for doubles.
protocol Lane {
  /// Bytes per element.
  static var width: Int { get }
  /// Eight elements from `pointer`, which may be unaligned.
  static func load(_ pointer: UnsafeRawPointer) -> Doubles
}

/// How far ahead of the loads memory is asked for, in bytes. A dozen streams at once are more than
/// the hardware follows by itself: this makes sums a third faster.
private let prefetchDistance = 1024

enum FloatLane: Lane {
  @inline(__always) static var width: Int { 4 }
  @inline(__always)
  static func load(_ pointer: UnsafeRawPointer) -> Doubles {
    dfmk_prefetch(pointer + prefetchDistance)
    return dfmk_load_f32x8(pointer)
  }
}

enum DoubleLane: Lane {
  @inline(__always) static var width: Int { 8 }
  @inline(__always)
  static func load(_ pointer: UnsafeRawPointer) -> Doubles {
    dfmk_prefetch(pointer + prefetchDistance)
    return dfmk_load_f64x8(pointer)
  }
}

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
  _ source: Elements, _ chunk: Chunk, wide: Bool, scratch: UnsafeMutableRawPointer
) -> UnsafeRawPointer {
  let elements = source.advanced(by: chunk.start)
  if chunk.isWhole, source.dtype == (wide ? .f64 : .f32) { return elements.pointer }
  widen(elements, count: chunk.count, wide: wide, into: scratch)
  if !chunk.isWhole {
    let width = wide ? 8 : 4
    (scratch + chunk.count &* width).initializeMemory(
      as: UInt8.self, repeating: 0, count: (chunk.padded &- chunk.count) &* width)
  }
  return UnsafeRawPointer(scratch)
}

/// `count` elements as doubles (`wide`) or floats. Kept out of line: one copy of each loop.
@inline(never)
func widen(
  _ source: Elements, count: Int, wide: Bool, into out: UnsafeMutableRawPointer
) {
  let n = Int64(count)
  switch (source.dtype, wide) {
  case (.bf16, false): dfmk_f32_from_bf16(out, source.pointer, n)
  case (.bf16, true): dfmk_f64_from_bf16(out, source.pointer, n)
  case (.f16, false): dfmk_f32_from_f16(out, source.pointer, n)
  case (.f16, true): dfmk_f64_from_f16(out, source.pointer, n)
  case (.f32, true): dfmk_f64_from_f32(out, source.pointer, n)
  case (.f32, false): out.copyMemory(from: source.pointer, byteCount: count &* 4)
  default: out.copyMemory(from: source.pointer, byteCount: count &* 8)
  }
}

/// Writes `count` doubles as elements of `out`, each rounded once, to nearest, ties to even.
@inline(never)
func narrow(_ values: UnsafeRawPointer, count: Int, into out: MutableElements) {
  let n = Int64(count)
  switch out.dtype {
  case .bf16: dfmk_bf16_from_f64(out.pointer, values, n)
  case .f16: dfmk_f16_from_f64(out.pointer, values, n)
  case .f32: dfmk_f32_from_f64(out.pointer, values, n)
  default: out.pointer.copyMemory(from: values, byteCount: count &* 8)
  }
}
