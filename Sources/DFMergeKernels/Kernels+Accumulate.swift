import CDFMergeShims
import DFMergeCore

extension Kernels {
  /// `acc += weight * g^2`, formed in double and rounded to float once.
  ///
  /// `acc` may be unaligned, and does not share memory with `gradient`.
  @inline(never)
  package static func accumulateSquares(
    into acc: UnsafeMutablePointer<Float>, gradient: Elements, weight: Double, count: Int
  ) {
    add(into: acc, gradient, count) { $0 * $0 * weight }
  }

  /// `acc += weight * v`, formed in double and rounded to float once; see `accumulateSquares`.
  @inline(never)
  package static func accumulate(
    into acc: UnsafeMutablePointer<Float>, values: Elements, weight: Double, count: Int
  ) {
    add(into: acc, values, count) { $0 * weight }
  }

  /// `sum_i x_i^2`, formed in double.
  ///
  /// The order of the additions depends on `count` only: 1024 elements at a time, in eight
  /// interleaved sums that are added two by two, then those blocks two by two. So the error grows
  /// with the logarithm of `count`, and a caller that cuts a tensor into tiles gets the same bits
  /// again if it cuts at the same places. No elements give 0.
  @inline(never)
  package static func sumOfSquares(_ x: Elements, count: Int) -> Double {
    guard count > 0 else { return 0 }
    let blocks = (count &- 1) / blockSize &+ 1
    return sumOfBlocks(x, count, 0..<blocks)
  }

  private static let blockSize = 1024

  /// Halves the range of blocks until one is left. The depth is at most 54.
  private static func sumOfBlocks(_ x: Elements, _ count: Int, _ blocks: Range<Int>) -> Double {
    if blocks.count > 1 {
      let middle = blocks.lowerBound &+ blocks.count / 2
      return sumOfBlocks(x, count, blocks.lowerBound..<middle)
        + sumOfBlocks(x, count, middle..<blocks.upperBound)
    }
    let start = blocks.lowerBound &* blockSize
    let elements = x.advanced(by: start)
    let n = min(blockSize, count &- start)
    var sums = Doubles()
    forEachVector(elements, n) { values, _ in
      sums += values * values
      return true
    }
    return ((sums[0] + sums[4]) + (sums[2] + sums[6]))
      + ((sums[1] + sums[5]) + (sums[3] + sums[7]))
  }

  @inline(__always)
  private static func add(
    into acc: UnsafeMutablePointer<Float>, _ x: Elements, _ count: Int,
    _ term: (Doubles) -> Doubles
  ) {
    let sums = UnsafeMutableRawPointer(acc)
    forEachVector(x, count) { values, start in
      let here = sums + start &* 4
      if count &- start >= 8 {
        dfmk_store_f32x8(here, FloatLane.load(here) + term(values))
      } else {
        let n = count &- start
        var last = SIMD8<Float>()
        withUnsafeMutableBytes(of: &last) { bytes in
          guard let copy = bytes.baseAddress else { return }
          copy.copyMemory(from: here, byteCount: n &* 4)
          dfmk_store_f32x8(copy, FloatLane.load(copy) + term(values))
          here.copyMemory(from: copy, byteCount: n &* 4)
        }
      }
      return true
    }
  }
}

/// Calls `body` with eight elements at a time, as doubles, and the number of the first of them;
/// after the last element, with zeros. Ends early when `body` answers false.
@inline(__always)
func forEachVector(_ x: Elements, _ count: Int, _ body: (Doubles, Int) -> Bool) {
  guard count > 0 else { return }
  let wide = x.dtype == .f64
  Workspace.with(models: 0, slots: 1) { workspace in
    var goesOn = true
    forEachChunk(count: count, size: workspace.chunkSize) { chunk in
      guard goesOn else { return }
      let values = staged(x, chunk, wide: wide, scratch: workspace.slot(0))
      var i = 0
      while i < chunk.padded, goesOn {
        let vector =
          wide ? DoubleLane.load(values + i &* 8) : FloatLane.load(values + i &* 4)
        goesOn = body(vector, chunk.start &+ i)
        i &+= 8
      }
    }
  }
}
