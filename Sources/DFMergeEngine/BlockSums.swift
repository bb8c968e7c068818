import DFMergeCore
import DFMergeKernels
import DFMergeMethods

/// Sums over the elements of tensors in double: one row of partial sums per block, added in the
/// order of the blocks, then tensor by tensor. The same bits for any number of threads and any size
/// of pieces.
struct BlockSums {
  /// How many numbers are summed.
  let width: Int
  /// The first block of each entry, and their number after the last.
  private let starts: [Int]
  private let blockLengths: [Int]
  private let sums: TileSlots<Double>

  /// - Parameter blockLengths: the most elements of a block, by entry of the plan.
  init(_ plan: MergePlan, width: Int, blockLengths: [Int]) {
    var starts = [0]
    for (entry, length) in zip(plan.entries, blockLengths) {
      starts.append(starts[starts.count - 1] + (entry.mergedCount + length - 1) / length)
    }
    self.width = width
    self.starts = starts
    self.blockLengths = blockLengths
    sums = TileSlots(count: starts[starts.count - 1] * width, initial: 0)
  }

  /// The bytes of the sums of a plan in blocks of `MergeExecutor.blockElements`; larger blocks take
  /// less.
  static func byteCount(_ plan: MergePlan, width: Int) -> Int {
    (plan.elementCount / MergeExecutor.blockElements + plan.entries.count) * 8 * width
  }

  /// Keeps what the block of `entry` that begins at `element` adds.
  func put(_ values: [Double], entry: Int, at element: Int) {
    let place = starts[entry] + element / blockLengths[entry]
    for (number, value) in values.prefix(width).enumerated() {
      sums[place * width + number] = value
    }
  }

  /// The sums of one entry.
  func total(of entry: Int) -> [Double] {
    (0..<width).map { number in
      (starts[entry]..<starts[entry + 1]).reduce(0) { $0 + sums[$1 * width + number] }
    }
  }

  /// The entries in the order of the tensors' names, for shards and memory have orders of their own.
  func namedOrder(_ plan: MergePlan) -> [Int] {
    plan.entries.indices.sorted {
      plan.entries[$0].output.name.utf8.lexicographicallyPrecedes(plan.entries[$1].output.name.utf8)
    }
  }

  /// The sums of several entries, added in this order.
  func total(of entries: [Int]) -> [Double] {
    var totals = [Double](repeating: 0, count: width)
    for entry in entries {
      for (number, value) in total(of: entry).enumerated() { totals[number] += value }
    }
    return totals
  }
}
