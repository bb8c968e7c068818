import DFMergeCore

/// Pieces by their place, from any thread.
extension CheckpointWriter {
  /// Writes the bytes from `offset` on of a tensor, from any thread, in any order.
  ///
  /// As ``SafetensorsWriter/write(_:tensor:at:)``. A shard has two descriptors open from its first
  /// byte until its last is on the disk; pieces in the order of the tensors keep few shards open,
  /// and at worst 200 shards take 400 (`ulimit -n`).
  /// - Parameter tensor: its place in the list that the writer was started with.
  package func write(
    _ bytes: UnsafeRawBufferPointer, tensor: Int, at offset: Int
  ) throws(DFMergeError) {
    guard places.indices.contains(tensor) else {
      throw DFMergeError(
        .invalidArgument,
        "\(folder) was started with \(places.count) tensors; there is none at place \(tensor).",
        context: ["path": folder])
    }
    let place = places[tensor]
    let writer = try monitor.locked { () throws(DFMergeError) -> SafetensorsWriter in
      try self.writer(ofShard: place.shard)
    }
    try writer.write(bytes, tensor: place.position, at: offset) {
      () throws(DFMergeError) -> BlockWriter in
      try monitor.locked { () throws(DFMergeError) -> BlockWriter in
        if let blockWriter { return blockWriter }
        let shared = try BlockWriter()
        blockWriter = shared
        return shared
      }
    }
  }

  /// The memory that `write` takes for all shards together, in bytes.
  package static var stagingByteCount: Int { BlockWriter.memoryByteCount }

  func writer(ofShard shard: Int) throws(DFMergeError) -> SafetensorsWriter {
    if let writer = writers[shard] { return writer }
    let part = plan.shards[shard]
    let writer = try SafetensorsWriter(
      path: Folder.join(folder, part.fileName), tensors: part.tensors, metadata: metadata)
    writers[shard] = writer
    return writer
  }
}
