import DFMergeCore
import DFMergeIO
import DFMergeMethods

/// A run of elements of one output: what a thread reads, computes and writes at a time.
struct WorkPiece: Sendable {
  enum Kind: Sendable {
    /// Elements of an entry of the plan to merge.
    case merge(entry: Int)
    /// Elements to convert from another type.
    case convert(TensorView)
    /// Bytes to copy as they are; `offset` and `count` are bytes.
    case bytes(TensorView)
  }

  let kind: Kind
  let output: TensorSpec
  /// Place of the output in the plan.
  let position: Int
  let offset: Int
  let count: Int

  /// The bytes that are written.
  var byteCount: Int {
    if case .bytes = kind { return count }
    return count * output.dtype.bitWidth / 8
  }
}

/// All pieces of a plan, in the order of the outputs, dealt out in items of about the same size:
/// many small tensors are one item, a large one is many.
struct WorkList: Sendable {
  let pieces: [WorkPiece]
  let items: [Range<Int>]
  /// The pieces of each entry of the plan that are merged.
  let entries: [Range<Int>]

  /// The most elements of a block: as many whole units as fit into `MergeExecutor.blockElements`,
  /// one at least.
  static func blockLength(unit: Int) -> Int {
    max(MergeExecutor.blockElements / unit, 1) &* unit
  }

  /// The most elements of a piece: whole blocks, one at least, so that blocks begin at the same
  /// elements whatever the size of pieces.
  static func pieceLength(unit: Int, most: Int) -> Int {
    guard unit < MergeExecutor.blockElements else { return blockLength(unit: unit) }
    return blockLength(unit: unit) &* max(most / MergeExecutor.blockElements, 1)
  }

  /// - Parameters:
  ///   - elements: the most elements of a piece, a multiple of `MergeExecutor.blockElements`.
  ///   - units: the unit lengths of the entries, of which a piece has whole ones, one at least;
  ///     empty where all are 1.
  init(_ plan: MergePlan, elements: Int, units: [Int] = []) {
    var byPosition: [[WorkPiece]] = Array(repeating: [], count: plan.outputs.count)
    func cut(
      _ kind: WorkPiece.Kind, _ output: TensorSpec, _ position: Int, _ range: Range<Int>,
      by size: Int
    ) {
      for offset in stride(from: range.lowerBound, to: range.upperBound, by: size) {
        byPosition[position].append(
          WorkPiece(
            kind: kind, output: output, position: position, offset: offset,
            count: min(size, range.upperBound - offset)))
      }
    }
    for (number, entry) in plan.entries.enumerated() {
      let total = entry.output.shape.elementCount
      cut(
        .merge(entry: number), entry.output, entry.position, 0..<entry.mergedCount,
        by: WorkList.pieceLength(unit: units.isEmpty ? 1 : units[number], most: elements))
      if let rest = entry.rest {
        let width = rest.dtype.bitWidth / 8
        if rest.dtype == entry.output.dtype {
          cut(
            .bytes(rest), entry.output, entry.position,
            entry.mergedCount * width..<total * width, by: elements * width)
        } else {
          cut(
            .convert(rest), entry.output, entry.position, entry.mergedCount..<total, by: elements)
        }
      }
    }
    for copy in plan.copies {
      if copy.source.dtype == copy.output.dtype {
        cut(
          .bytes(copy.source), copy.output, copy.position, 0..<copy.output.byteCount,
          by: elements * 4)
      } else {
        cut(
          .convert(copy.source), copy.output, copy.position,
          0..<copy.output.shape.elementCount, by: elements)
      }
    }
    pieces = byPosition.flatMap { $0 }
    var entries = [Range<Int>](repeating: 0..<0, count: plan.entries.count)
    for (number, piece) in pieces.enumerated() {
      guard case .merge(let entry) = piece.kind else { continue }
      let first = entries[entry].isEmpty ? number : entries[entry].lowerBound
      entries[entry] = first..<(number + 1)
    }
    self.entries = entries
    var items: [Range<Int>] = []
    var start = 0
    var size = 0
    for (number, piece) in pieces.enumerated() {
      if size > 0, size + piece.count > elements {
        items.append(start..<number)
        (start, size) = (number, 0)
      }
      size += piece.count
    }
    if start < pieces.count { items.append(start..<pieces.count) }
    self.items = items
  }
}
