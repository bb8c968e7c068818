/// Bytes that can be read piece by piece, by several threads at once: an open file.
///
/// A merge from files reads through this rather than through mapped memory: a file that is cut or a
/// disk that fails gives an error instead of a signal, and no memory counts but the pieces.
public protocol TensorStorage: AnyObject, Sendable {
  /// Fills `buffer` with the bytes from `offset` on.
  /// - Throws: `.ioFailure` when they cannot all be had; `buffer` is then partly written.
  func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(DFMergeError)

  /// Says that `count` bytes from `offset` on will be read soon; no promise either way.
  func willRead(offset: Int, count: Int)
}

/// Where a tensor's bytes lie in a ``TensorStorage``.
public struct StoredBytes: Sendable {
  public let storage: any TensorStorage
  /// The first byte's place in the storage.
  public let offset: Int

  public init(storage: any TensorStorage, offset: Int) {
    self.storage = storage
    self.offset = offset
  }
}
