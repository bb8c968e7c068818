import DFMergeCore
import DFMergeKernels

/// The memory of one thread of a merge: what a piece is read into and computed in.
///
/// Tensors in memory are used where they are; tensors in files are read piece by piece.
struct PieceBuffer {
  /// The number of the thread, from 0: no two at work at once have the same.
  let worker: Int
  private let bytes: UnsafeMutableRawBufferPointer
  private let readsFiles: Bool
  private var used = 0

  init(_ bytes: UnsafeMutableRawBufferPointer, worker: Int, readsFiles: Bool) {
    self.worker = worker
    self.bytes = bytes
    self.readsFiles = readsFiles
  }

  /// The bytes that a piece of `elements` elements takes for a tensor of `dtype`.
  static func slotBytes(elements: Int, dtype: DType) -> Int {
    (elements * dtype.bitWidth / 8 + 63) & ~63
  }

  /// Memory for `count` bytes.
  /// - Throws: `.internalError` when the buffer was made too small.
  mutating func take(_ count: Int) throws(DFMergeError) -> UnsafeMutableRawPointer {
    let end = used + (count + 63) & ~63
    guard let start = bytes.baseAddress, end <= bytes.count else {
      throw DFMergeError(.internalError, "The buffer of a merge is too small; please report this.")
    }
    defer { used = end }
    return start + used
  }

  /// The bytes `offset ..< offset + count` of a tensor, read from its file where it has one.
  mutating func load(
    _ view: TensorView, offset: Int, count: Int
  ) throws(DFMergeError) -> UnsafeRawPointer {
    if readsFiles, let stored = view.stored {
      let slot = try take(count)
      try stored.storage.read(
        into: UnsafeMutableRawBufferPointer(start: slot, count: count), at: stored.offset + offset)
      return UnsafeRawPointer(slot)
    }
    guard let start = view.bytes.baseAddress else {
      throw DFMergeError(
        .internalError, "Tensor '\(view.name)' has no memory; please report this.",
        context: ["tensor": view.name])
    }
    return start + offset
  }

  /// Elements of a tensor.
  mutating func elements(
    _ view: TensorView, from offset: Int, count: Int
  ) throws(DFMergeError) -> Elements {
    let width = view.dtype.bitWidth / 8
    // A tensor without elements may have no address.
    if count == 0 { return Elements(pointer: UnsafeRawPointer(try take(0)), dtype: view.dtype) }
    return Elements(
      pointer: try load(view, offset: offset * width, count: count * width), dtype: view.dtype)
  }
}
