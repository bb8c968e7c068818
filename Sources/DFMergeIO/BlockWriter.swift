import CDFMergeShims
import DFMergeCore
import Glibc

/// Takes pieces of files from any thread, in any order, and writes them in large aligned blocks on
/// threads of its own, so that the disk works while the callers compute.
///
/// Pieces are copied into blocks of memory; a full block is written past the page cache
/// (`O_DIRECT`), or through it where the file system has no other way. When all memory is taken,
/// callers wait for the disk; when it is taken by blocks that lack bytes, the block unused for
/// longest is written as it is and the rest of its bytes go straight to the file. Memory: fixed.
///
/// Measured (1.1 GB from 5 inputs, 2 threads, ext4, busy machine, medians of 7): 1.6 s; through the
/// cache 3.7 s with write-back started and room reserved, 8.8 s with fsync alone.
package final class BlockWriter: @unchecked Sendable {
  // Sendable: `queue` does its own locking, and the threads are touched by `stop` only.
  static let blockByteCount = 2 << 20
  /// The memory that a writer takes.
  static let memoryByteCount = blockCount * blockByteCount + pageByteCount
  /// What direct writes are aligned to; no disk asks for more.
  private static let pageByteCount = 4096
  private static let blockCount = 12

  private let queue: BlockQueue
  private var threads: [pthread_t] = []

  /// - Parameter threadCount: how many threads write; without any, the callers do.
  /// - Throws: `.outOfMemory`.
  package init(threadCount: Int = 2) throws(DFMergeError) {
    let buffer = try AlignedBuffer(byteCount: BlockWriter.memoryByteCount)
    let page = BlockWriter.pageByteCount
    let first = (page - Int(bitPattern: buffer.address) % page) % page
    queue = BlockQueue(
      buffer,
      blocks: (0..<BlockWriter.blockCount).map { position in
        let start = first + position * BlockWriter.blockByteCount
        return UnsafeMutableRawBufferPointer(
          rebasing: buffer.bytes[start..<start + BlockWriter.blockByteCount])
      })
    start(threadCount)
    queue.hasThreads = !threads.isEmpty
  }

  deinit { stop() }

  /// Writes `bytes` at `offset` of `file`, sooner or later.
  /// - Throws: the first failure to write to `file`, also of earlier pieces.
  func write(
    _ bytes: UnsafeRawBufferPointer, to file: BlockFile, at offset: Int
  ) throws(DFMergeError) {
    let size = BlockWriter.blockByteCount
    var done = 0
    while done < bytes.count {
      let (number, inner) = (offset + done).quotientAndRemainder(dividingBy: size)
      let count = min(bytes.count - done, size - inner)
      let piece = UnsafeRawBufferPointer(rebasing: bytes[done..<done + count])
      if let block = try queue.open(number, of: file) {
        UnsafeMutableRawBufferPointer(rebasing: block.memory[inner..<inner + count])
          .copyMemory(from: piece)
        queue.close(block, filled: inner..<inner + count)
        // Without threads, which the system may refuse, the caller writes.
        if !queue.hasThreads {
          while let full = queue.next(waiting: false) { queue.finish(full) }
        }
      } else {
        try queue.writeThrough(piece, to: file, at: offset + done)
      }
      done += count
    }
  }

  /// Returns when `file`, all of whose bytes were given, is durable and closed.
  /// - Throws: the first failure to write to it.
  func seal(_ file: BlockFile) throws(DFMergeError) { try queue.waitUntilSealed(file) }

  /// Forgets what is not yet written of `file`, and returns when no thread touches it any more.
  func abandon(_ file: BlockFile) { queue.abandon(file) }

  /// Ends the threads, after the blocks that they have been given. Called once no thread writes.
  func stop() {
    queue.stop()
    for thread in threads { pthread_join(thread, nil) }
    threads = []
  }

  private func start(_ threadCount: Int) {
    // A thread inherits the mask of its maker: blocked before, it sees no signal of the host's.
    var before = sigset_t()
    dfmk_block_signals(&before)
    defer { dfmk_restore_signals(&before) }
    for _ in 0..<threadCount {
      var thread = pthread_t()
      let shared = Unmanaged.passRetained(queue)
      let status = pthread_create(
        &thread, nil,
        { pointer in
          guard let pointer else { return nil }
          let queue = Unmanaged<BlockQueue>.fromOpaque(pointer).takeRetainedValue()
          while let block = queue.next(waiting: true) { queue.finish(block) }
          return nil
        }, shared.toOpaque())
      guard status == 0 else {
        shared.release()
        break
      }
      threads.append(thread)
    }
  }
}
