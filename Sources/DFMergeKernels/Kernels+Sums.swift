import CDFMergeShims
import DFMergeCore

// Sums over all elements, formed in double. The order of the additions depends on `count` only:
// 1024 elements at a time, in eight interleaved sums that are added two by two, then those blocks
// two by two. So the error grows with the logarithm of `count`, and a caller that cuts a tensor
// into tiles gets the same bits again if it cuts at the same places. No elements give 0.
extension Kernels {
  /// `sum_i x_i^2`.
  @inline(never)
  package static func sumOfSquares(_ x: Elements, count: Int) -> Double {
    let loops = CPULevel.current.loops
    return sum(of: [x.input], count) { operands, sums, n in
      loops.addSquares(of: operands[0], to: sums, n: n)
    }
  }

  /// `<g, x - b> = sum_i g_i (x_i - b_i)`; `<g, x>` without `b`. For a gradient and a task vector,
  /// for example.
  @inline(never)
  package static func dot(
    _ g: Elements, _ x: Elements, minus b: Elements? = nil, count: Int
  ) -> Double {
    let loops = CPULevel.current.loops
    return sum(of: [g.input, x.input, b?.input ?? .nothing], count) { operands, sums, n in
      loops.addProducts(of: operands[0], operands[1], minus: operands[2], to: sums, n: n)
    }
  }

  private static let blockSize = 1024

  /// A loop that adds whole steps of its operands to eight sums.
  typealias Adding = ([dfmk_input], UnsafeMutableRawPointer, Int) -> Void

  static func sum(of operands: [dfmk_input], _ count: Int, _ add: Adding) -> Double {
    guard count > 0 else { return 0 }
    return sumOfBlocks(0..<((count &- 1) / blockSize &+ 1)) { block in
      let start = block &* blockSize
      let n = min(blockSize, count &- start)
      return sumOfBlock(operands.map { $0.advanced(by: start) }, n, add)
    }
  }

  /// Halves the range of blocks until one is left. The depth is at most 54.
  private static func sumOfBlocks(_ blocks: Range<Int>, _ sum: (Int) -> Double) -> Double {
    guard blocks.count > 1 else { return sum(blocks.lowerBound) }
    let middle = blocks.lowerBound &+ blocks.count / 2
    return sumOfBlocks(blocks.lowerBound..<middle, sum)
      + sumOfBlocks(middle..<blocks.upperBound, sum)
  }

  private static func sumOfBlock(_ operands: [dfmk_input], _ n: Int, _ add: Adding) -> Double {
    var sums = SIMD8<Double>()
    withUnsafeMutableBytes(of: &sums) { bytes in
      guard let start = bytes.baseAddress else { return }
      let whole = n & ~(stepSize &- 1)
      if whole > 0 { add(operands, start, whole) }
      guard n > whole else { return }
      FilledStep.with(operands: operands.count) { step in
        let filled = operands.map {
          step.copyWithZeros($0.advanced(by: whole), live: n &- whole)
        }
        add(filled, start, stepSize)
      }
    }
    return inPairs(sums)
  }

  /// Eight sums that took turns, two by two.
  @inline(__always)
  static func inPairs(_ sums: SIMD8<Double>) -> Double {
    ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]))
  }
}
