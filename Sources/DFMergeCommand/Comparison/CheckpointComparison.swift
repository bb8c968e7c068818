import DFMergeCore
import DFMergeKernels

/// Compares two checkpoints tensor by tensor, piece by piece: no more memory for large ones.
struct CheckpointComparison {
  /// A tensor that both have with one shape.
  struct Pair {
    let a: TensorView
    let b: TensorView
    let base: TensorView?
    /// Nil for types that are not numbers to us, or where these differ: only equal or not.
    var difference: TensorDifference?
    var isIdentical = false
  }

  private(set) var pairs: [Pair] = []
  private(set) var onlyInA: [String] = []
  private(set) var onlyInB: [String] = []
  /// Tensors of other shapes in b.
  private(set) var reshaped: [(a: TensorView, b: TensorView)] = []

  /// Elements per piece.
  private static let pieceCount = 1 << 16

  init(_ a: any WeightSource, _ b: any WeightSource, base: (any WeightSource)?) {
    for tensor in a.tensors {
      guard let other = b.tensor(named: tensor.name) else {
        onlyInA.append(tensor.name)
        continue
      }
      guard tensor.shape == other.shape else {
        reshaped.append((tensor, other))
        continue
      }
      let origin = base?.tensor(named: tensor.name)
      let fits = origin.map { $0.shape == tensor.shape && $0.dtype.isMergeable } ?? false
      pairs.append(Pair(a: tensor, b: other, base: fits ? origin : nil))
    }
    onlyInB = b.tensors.map(\.name).filter { a.tensor(named: $0) == nil }
  }

  /// The sum over all tensors that were compared as numbers.
  var total: TensorDifference {
    pairs.compactMap(\.difference).reduce(into: TensorDifference()) { $0.add($1) }
  }

  /// Whether both have the same tensors with the same bytes.
  var isIdentical: Bool {
    onlyInA.isEmpty && onlyInB.isEmpty && reshaped.isEmpty && pairs.allSatisfy(\.isIdentical)
  }

  private struct Piece {
    let pair: Int
    let start: Int
    let count: Int
  }

  /// Reads both, once.
  /// - Parameters:
  ///   - threads: 0 is one per core.
  ///   - progress: hears of bytes of a and b that were read, and of all of them, on this thread.
  /// - Throws: `.ioFailure`, `.outOfMemory`, `.cancelled`.
  mutating func run(
    threads: Int, progress: (_ done: Int, _ total: Int) -> Void, cancelled: () -> Bool
  ) throws(DFMergeError) {
    var pieces: [Piece] = []
    for (index, pair) in pairs.enumerated() {
      let count = pair.a.shape.elementCount
      var start = 0
      repeat {
        let size = min(CheckpointComparison.pieceCount, count - start)
        pieces.append(Piece(pair: index, start: start, count: size))
        start += size
      } while start < count
    }
    let workers = ParallelFor.workers(threads: threads, count: pieces.count)
    var readers: [PieceComparer] = []
    for _ in 0..<workers {
      readers.append(try PieceComparer(pieceCount: CheckpointComparison.pieceCount))
    }
    let results = PieceResults(count: pieces.count)
    let total = pairs.reduce(0) { $0 &+ $1.a.byteCount &+ $1.b.byteCount }
    let work = (pairs: pairs, pieces: pieces, readers: readers)
    try ParallelFor.runWithWorkers(
      count: pieces.count, threads: workers,
      poll: { () throws(DFMergeError) in
        progress(min(results.bytes, total), total)
        if cancelled() { throw DFMergeError(.cancelled, "The comparison was stopped.") }
        try results.throwIfFailed()
      },
      body: { worker, item in
        let piece = work.pieces[item]
        let pair = work.pairs[piece.pair]
        results.set(
          item, bytes: (pair.a.dtype.bitWidth &+ pair.b.dtype.bitWidth) / 8 &* piece.count
        ) { () throws(DFMergeError) in
          try work.readers[worker].compare(pair, start: piece.start, count: piece.count)
        }
      })
    try results.throwIfFailed()
    progress(total, total)
    for index in pairs.indices {
      pairs[index].isIdentical = pairs[index].a.dtype == pairs[index].b.dtype
    }
    // In the order of the pieces, so that no sum depends on the threads.
    for (item, piece) in pieces.enumerated() {
      let result = results[item]
      if !result.hasSameBytes { pairs[piece.pair].isIdentical = false }
      if let difference = result.difference {
        var sum = pairs[piece.pair].difference ?? TensorDifference()
        sum.add(difference)
        pairs[piece.pair].difference = sum
      }
    }
  }
}
