import DFMergeCore

/// The state that a ``BlockWriter``'s callers and threads share.
final class BlockQueue: @unchecked Sendable {
  // Sendable: `monitor` guards every field that changes, of the blocks and files too. The memory of
  // a block is written by callers that have opened it, each its own bytes, and read once they have
  // all closed it.
  private let monitor = Monitor()
  private let buffer: AlignedBuffer
  private var free: [UnsafeMutableRawBufferPointer]
  /// Blocks to be written, the oldest first.
  private var waiting: [Block] = []
  private var partial: [ObjectIdentifier: Block] = [:]
  private var busyCount = 0
  private var useCount = 0
  private var isStopping = false
  /// Whether there are threads that take what is waiting; set before the first block is opened.
  var hasThreads = false

  /// - Parameter blocks: the memory for them, inside `buffer`.
  init(_ buffer: AlignedBuffer, blocks: [UnsafeMutableRawBufferPointer]) {
    self.buffer = buffer
    free = blocks
  }

  /// Block `number` of `file` to copy into, until `close`; nil when its bytes go straight to the
  /// file. Waits for memory while blocks are on their way to the disk.
  /// - Throws: why the file cannot be completed.
  func open(_ number: Int, of file: BlockFile) throws(DFMergeError) -> Block? {
    try monitor.locked { () throws(DFMergeError) -> Block? in
      while true {
        if let failure = file.failure { throw failure }
        if file.loose.contains(number) { return nil }
        if let block = file.open[number] { return use(block) }
        if let memory = free.popLast() {
          let block = Block(file: file, number: number, memory: memory)
          file.open[number] = block
          partial[ObjectIdentifier(block)] = block
          return use(block)
        }
        if waiting.isEmpty, busyCount == 0 {
          let unused = partial.values.filter { $0.users == 0 }
          guard hasThreads, let oldest = unused.min(by: { $0.lastUse < $1.lastUse }) else {
            file.loose.insert(number)
            return nil
          }
          oldest.file.loose.insert(oldest.number)
          send(oldest)
        }
        monitor.wait()
      }
    }
  }

  /// Ends the use of an open block, which now has the bytes `range` as well.
  func close(_ block: Block, filled range: Range<Int>) {
    monitor.locked {
      block.users -= 1
      block.filled.append(range)
      block.filledByteCount += range.count
      guard block.isFull else { return }
      if !block.isDisjoint { block.file.failure = block.file.overlap }
      send(block)
    }
  }

  /// Writes bytes of a loose block, on the caller's thread.
  func writeThrough(
    _ bytes: UnsafeRawBufferPointer, to file: BlockFile, at offset: Int
  ) throws(DFMergeError) {
    complete(file, adding: bytes.count, memory: nil) { () throws(DFMergeError) in
      try file.file.write(bytes, at: offset)
    }
    try monitor.locked { () throws(DFMergeError) in
      if let failure = file.failure { throw failure }
    }
  }

  /// The next block to write, for `finish`; nil when there will be none.
  /// - Parameter waiting: whether to wait for one, until `stop`.
  func next(waiting isWaiting: Bool) -> Block? {
    monitor.locked {
      while waiting.isEmpty {
        guard isWaiting, !isStopping else { return nil }
        monitor.wait()
      }
      let block = waiting.removeFirst()
      busyCount += 1
      block.file.busyCount += 1
      return block
    }
  }

  /// Writes a block that `next` gave.
  func finish(_ block: Block) {
    complete(block.file, adding: block.filledByteCount, memory: block.memory) {
      () throws(DFMergeError) in try block.file.write(block)
    }
  }

  func waitUntilSealed(_ file: BlockFile) throws(DFMergeError) {
    try monitor.locked { () throws(DFMergeError) in
      // As many bytes as the file has were given: a block that lacks some was left out for others.
      if !file.open.isEmpty { file.failure = file.failure ?? file.overlap }
      while !file.isSealed, file.failure == nil { monitor.wait() }
      if let failure = file.failure { throw failure }
    }
  }

  func abandon(_ file: BlockFile) {
    monitor.locked {
      for block in waiting + Array(file.open.values) where block.file === file {
        partial[ObjectIdentifier(block)] = nil
        free.append(block.memory)
      }
      waiting.removeAll { $0.file === file }
      file.open = [:]
      monitor.wakeAll()
      while file.busyCount > 0 { monitor.wait() }
    }
  }

  func stop() {
    monitor.locked {
      isStopping = true
      monitor.wakeAll()
    }
  }
}

extension BlockQueue {
  private func use(_ block: Block) -> Block {
    useCount &+= 1
    block.lastUse = useCount
    block.users += 1
    return block
  }

  /// Hands a block to the threads.
  private func send(_ block: Block) {
    block.file.open[block.number] = nil
    partial[ObjectIdentifier(block)] = nil
    waiting.append(block)
    monitor.wakeAll()
  }

  /// Runs `write`, which gives `file` another `count` bytes, and seals the file with the last.
  private func complete(
    _ file: BlockFile, adding count: Int, memory: UnsafeMutableRawBufferPointer?,
    write: () throws(DFMergeError) -> Void
  ) {
    var failure: DFMergeError?
    do throws(DFMergeError) {
      try write()
    } catch {
      failure = error
    }
    let isLast = monitor.locked {
      if let memory { free.append(memory) }
      file.missingByteCount -= count
      file.failure = file.failure ?? failure
      monitor.wakeAll()
      return file.missingByteCount == 0 && file.failure == nil
    }
    if isLast {
      file.closeDirect()
      do throws(DFMergeError) {
        try file.file.seal()
      } catch {
        failure = error
      }
    }
    monitor.locked {
      if memory != nil {
        busyCount -= 1
        file.busyCount -= 1
      }
      file.failure = file.failure ?? failure
      if isLast { file.isSealed = file.failure == nil }
      monitor.wakeAll()
    }
  }
}
