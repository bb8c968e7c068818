import DFMergeCore
import Glibc

/// A file of known size that is written in blocks, through a ``BlockWriter``.
///
/// Its state is guarded by the monitor of the writer.
final class BlockFile: @unchecked Sendable {
  // Sendable: the writer's monitor guards every field that changes.
  let file: AtomicFile
  let byteCount: Int
  /// Blocks that wait for the rest of their bytes, by number.
  var open: [Int: Block] = [:]
  /// Blocks whose bytes go straight to the file, because they were no longer kept.
  var loose: Set<Int>
  /// Bytes that the file does not have yet.
  var missingByteCount: Int
  /// Blocks that are being written at this moment.
  var busyCount = 0
  var isSealed = false
  /// Why the file cannot be completed.
  var failure: DFMergeError?
  /// The descriptor that passes the page cache by; closed by the last to write.
  private var direct: Int32?

  /// - Parameters:
  ///   - file: the file, made with its whole size, whose first `headByteCount` bytes are written.
  ///   - byteCount: the whole size.
  init(_ file: AtomicFile, byteCount: Int, headByteCount: Int) {
    self.file = file
    self.byteCount = byteCount
    missingByteCount = byteCount - headByteCount
    // The blocks that the head begins are not complete without it.
    loose = Set(0...(max(headByteCount, 1) - 1) / BlockWriter.blockByteCount)
    direct = byteCount >= 2 * BlockWriter.blockByteCount ? file.openDirect() : nil
  }

  deinit { closeDirect() }

  /// Called once nothing is being written any more.
  func closeDirect() {
    if let direct { close(direct) }
    direct = nil
  }

  /// What is wrong when a byte came twice, so that another is missing.
  var overlap: DFMergeError {
    DFMergeError(
      .invalidState, "Pieces written to \(file.path) overlap; write every byte once.",
      context: ["path": file.path])
  }

  /// The bytes of block `number`; the last may be shorter.
  func byteCount(ofBlock number: Int) -> Int {
    min(BlockWriter.blockByteCount, byteCount - number * BlockWriter.blockByteCount)
  }

  /// Writes what `block` has: all of it past the page cache where that is possible.
  func write(_ block: Block) throws(DFMergeError) {
    let start = block.number * BlockWriter.blockByteCount
    guard block.isFull else {
      for range in block.filled {
        let piece = UnsafeRawBufferPointer(rebasing: block.memory[range])
        try file.write(piece, at: start + range.lowerBound)
      }
      return
    }
    let count = byteCount(ofBlock: block.number)
    var done = 0
    if let direct, count == BlockWriter.blockByteCount {
      let written = retryingInterrupts {
        pwrite(direct, block.memory.baseAddress, count, off_t(start))
      }
      // Some file systems refuse here rather than in `open`; others write a part.
      guard written >= 0 || errno == EINVAL || errno == EOPNOTSUPP else {
        throw .system("Writing", path: file.path, status: errno)
      }
      done = max(written, 0)
    }
    guard done < count else { return }
    try file.write(UnsafeRawBufferPointer(rebasing: block.memory[done..<count]), at: start + done)
    file.startWriting(at: start, count: count)
  }
}

/// A piece of a file that is put together in memory: `blockByteCount` bytes from a multiple of it.
final class Block {
  let file: BlockFile
  let number: Int
  let memory: UnsafeMutableRawBufferPointer
  /// How many threads copy into it at this moment.
  var users = 0
  /// The runs of bytes that it has, in the order in which they came.
  var filled: [Range<Int>] = []
  var filledByteCount = 0
  /// The time of the last use, by the writer's count of uses.
  var lastUse = 0

  init(file: BlockFile, number: Int, memory: UnsafeMutableRawBufferPointer) {
    self.file = file
    self.number = number
    self.memory = memory
  }

  var isFull: Bool { filledByteCount == file.byteCount(ofBlock: number) }

  /// Whether no byte came twice.
  var isDisjoint: Bool {
    var end = 0
    for range in filled.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      guard range.lowerBound >= end else { return false }
      end = range.upperBound
    }
    return true
  }
}
