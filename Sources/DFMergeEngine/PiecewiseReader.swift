import DFMergeCore
import Glibc

/// Looks at tensors piece by piece: those in files are read, not touched where they are mapped, so
/// that a file that was cut short is no signal.
final class PiecewiseReader {
  private static let pieceByteCount = 1 << 18
  private static let headByteCount = 4096
  private var buffers: (AlignedBuffer, AlignedBuffer)?

  /// A checksum of the first bytes; nil when they cannot be read.
  func headChecksum(_ view: TensorView) -> UInt32? {
    let count = min(view.byteCount, PiecewiseReader.headByteCount)
    guard let buffers = ready(), let head = piece(view, 0, count, buffers.0) else { return nil }
    return CRC32.of(UnsafeRawBufferPointer(start: head, count: count))
  }

  /// Whether all elements are alike; also true when they cannot be read.
  func isConstant(_ view: TensorView) -> Bool {
    let width = max(view.dtype.bitWidth / 8, 1)
    // Constant means: the same when moved by one element. Pieces overlap by one.
    return forEachPiece(of: view, overlap: width) { buffers, start, count in
      guard let piece = piece(view, start, count, buffers.0) else { return true }
      return count <= width || memcmp(piece, piece + width, count - width) == 0
    }
  }

  /// Whether two tensors of one type and shape have the same bytes; false when they cannot be read.
  func areSame(_ a: TensorView, _ b: TensorView) -> Bool {
    guard a.dtype == b.dtype, a.shape == b.shape, a.byteCount > 0 else { return false }
    if let first = a.bytes.baseAddress, first == b.bytes.baseAddress { return true }
    return forEachPiece(of: a, overlap: 0) { buffers, start, count in
      guard let left = piece(a, start, count, buffers.0),
        let right = piece(b, start, count, buffers.1)
      else { return false }
      return memcmp(left, right, count) == 0
    }
  }

  /// Whether `body` is true of every piece; the pieces after the first that is not are not read.
  private func forEachPiece(
    of view: TensorView, overlap: Int,
    _ body: (_ buffers: (AlignedBuffer, AlignedBuffer), _ start: Int, _ count: Int) -> Bool
  ) -> Bool {
    guard let buffers = ready() else { return false }
    var start = 0
    // Most tensors differ at once: the first piece is a small one.
    var size = PiecewiseReader.headByteCount
    repeat {
      let count = min(view.byteCount - start, size)
      guard body(buffers, start, count) else { return false }
      start += count - overlap
      size = PiecewiseReader.pieceByteCount
    } while start + overlap < view.byteCount
    return true
  }

  private func ready() -> (AlignedBuffer, AlignedBuffer)? {
    if let buffers { return buffers }
    let size = PiecewiseReader.pieceByteCount
    guard let first = try? AlignedBuffer(byteCount: size),
      let second = try? AlignedBuffer(byteCount: size)
    else { return nil }
    buffers = (first, second)
    return (first, second)
  }

  private func piece(
    _ view: TensorView, _ start: Int, _ count: Int, _ buffer: AlignedBuffer
  ) -> UnsafeRawPointer? {
    guard let stored = view.stored else { return view.bytes.baseAddress.map { $0 + start } }
    let slot = UnsafeMutableRawBufferPointer(start: buffer.address, count: count)
    guard (try? stored.storage.read(into: slot, at: stored.offset + start)) != nil else {
      return nil
    }
    return UnsafeRawPointer(buffer.address)
  }
}
