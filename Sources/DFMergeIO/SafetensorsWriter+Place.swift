import DFMergeCore

/// Pieces by their place, from any thread.
extension SafetensorsWriter {
  /// Writes the bytes from `offset` on of a tensor, from any thread, in any order.
  ///
  /// The bytes are copied and go to the disk in large blocks while the caller goes on; the file is
  /// made durable as soon as all of them have come. Each byte is to be given once, all before
  /// `finish` is called: the bytes of a tensor are counted, and pieces that overlap are noticed
  /// unless they lie in the first or last block. Memory: ``CheckpointWriter/stagingByteCount``.
  /// - Parameter tensor: its place in the list that the writer was started with.
  /// - Throws: `.invalidArgument` for a place outside the tensor, or more bytes than it has;
  ///   `.invalidState` after an `append`; `.ioFailure`, also of an earlier piece: the file can then
  ///   not be finished.
  package func write(
    _ bytes: UnsafeRawBufferPointer, tensor: Int, at offset: Int
  ) throws(DFMergeError) {
    try write(bytes, tensor: tensor, at: offset) { () throws(DFMergeError) in try BlockWriter() }
  }

  /// ``write(_:tensor:at:)`` through a block writer that is asked for once, with the first piece.
  package func write(
    _ bytes: UnsafeRawBufferPointer, tensor: Int, at offset: Int,
    through makeWriter: () throws(DFMergeError) -> BlockWriter
  ) throws(DFMergeError) {
    guard tensors.indices.contains(tensor) else {
      throw DFMergeError(
        .invalidArgument,
        "\(path) was started with \(tensors.count) tensors; there is none at place \(tensor).",
        context: ["path": path])
    }
    let spec = tensors[tensor]
    guard offset >= 0, bytes.count <= spec.byteCount, offset <= spec.byteCount - bytes.count else {
      throw DFMergeError(
        .invalidArgument,
        "Tensor \(quoted(spec.name)) of \(path) has \(spec.byteCount) bytes; \(bytes.count) at "
          + "\(offset) do not lie in it.",
        context: ["tensor": spec.name, "path": path])
    }
    guard !bytes.isEmpty else { return }
    let blocks = try monitor.locked {
      () throws(DFMergeError) -> (writer: BlockWriter, file: BlockFile) in
      try checkRoom(for: bytes.count, in: tensor)
      let blocks: (writer: BlockWriter, file: BlockFile)
      if let started = self.blocks {
        blocks = started
      } else {
        blocks = try startBlocks(makeWriter, tensor: spec.name)
        self.blocks = blocks
      }
      written[tensor] += bytes.count
      missingByteCount -= bytes.count
      return blocks
    }
    try blocks.writer.write(bytes, to: blocks.file, at: start(of: tensor) + offset)
  }

  private func startBlocks(
    _ makeWriter: () throws(DFMergeError) -> BlockWriter, tensor: String
  ) throws(DFMergeError) -> (writer: BlockWriter, file: BlockFile) {
    guard written.allSatisfy({ $0 == 0 }) else {
      throw DFMergeError(
        .invalidState,
        "\(path) is being appended to; give all pieces in one way, by place or in order.",
        context: ["tensor": tensor, "path": path])
    }
    return (
      try makeWriter(),
      BlockFile(file, byteCount: byteCount, headByteCount: layout.head.count)
    )
  }
}
