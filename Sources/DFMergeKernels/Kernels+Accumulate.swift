import DFMergeCore

extension Kernels {
  /// `acc += weight * g^2`, formed in double and rounded to float once.
  ///
  /// `acc` may be unaligned, and does not share memory with `gradient`.
  @inline(never)
  package static func accumulateSquares(
    into acc: UnsafeMutablePointer<Float>, gradient: Elements, weight: Double, count: Int
  ) {
    add(into: acc, gradient, weight, squared: true, count)
  }

  /// `acc += weight * v`, formed in double and rounded to float once; see `accumulateSquares`.
  @inline(never)
  package static func accumulate(
    into acc: UnsafeMutablePointer<Float>, values: Elements, weight: Double, count: Int
  ) {
    add(into: acc, values, weight, squared: false, count)
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
    return sumOfBlocks(x, count, 0..<blocks, CPULevel.current.loops)
  }

  private static let blockSize = 1024

  /// Halves the range of blocks until one is left. The depth is at most 54.
  private static func sumOfBlocks(
    _ x: Elements, _ count: Int, _ blocks: Range<Int>, _ loops: any InnerLoopSet.Type
  ) -> Double {
    if blocks.count > 1 {
      let middle = blocks.lowerBound &+ blocks.count / 2
      return sumOfBlocks(x, count, blocks.lowerBound..<middle, loops)
        + sumOfBlocks(x, count, middle..<blocks.upperBound, loops)
    }
    let start = blocks.lowerBound &* blockSize
    let elements = x.advanced(by: start)
    let n = min(blockSize, count &- start)
    let wide = x.dtype == .f64
    var sums = SIMD8<Double>()
    withUnsafeMutableBytes(of: &sums) { bytes in
      guard let start = bytes.baseAddress else { return }
      forEachStagedChunk(elements, n, loops) { values, chunk in
        loops.addSquares(of: values, to: start, n: chunk.padded, wide: wide)
      }
    }
    return ((sums[0] + sums[4]) + (sums[2] + sums[6]))
      + ((sums[1] + sums[5]) + (sums[3] + sums[7]))
  }

  private static func add(
    into acc: UnsafeMutablePointer<Float>, _ x: Elements, _ weight: Double, squared: Bool,
    _ count: Int
  ) {
    let loops = CPULevel.current.loops
    let wide = x.dtype == .f64
    forEachStagedChunk(x, count, loops) { values, chunk in
      loops.accumulate(
        into: UnsafeMutableRawPointer(acc + chunk.start), values, weight: weight, squared: squared,
        n: chunk.count, wide: wide)
    }
  }
}

/// Calls `body` for each chunk with its elements as floats, or doubles where `x` is F64.
@inline(__always)
private func forEachStagedChunk(
  _ x: Elements, _ count: Int, _ loops: any InnerLoopSet.Type,
  _ body: (UnsafeRawPointer, Chunk) -> Void
) {
  guard count > 0 else { return }
  Workspace.with(models: 0, slots: 1) { workspace in
    forEachChunk(count: count, size: workspace.chunkSize) { chunk in
      let scratch = workspace.slot(0)
      body(staged(x, chunk, wide: x.dtype == .f64, scratch: scratch, loops: loops), chunk)
    }
  }
}
