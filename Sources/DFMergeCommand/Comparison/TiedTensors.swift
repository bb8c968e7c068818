import DFMergeCore

/// Names of a checkpoint that stand for the same elements, such as an embedding that is the output
/// layer too.
///
/// Two names are tied when their elements are the same bytes, not all alike, or when the file's
/// metadata says so, as safetensors' `save_model` does: `{"dropped name": "kept name"}`.
enum TiedTensors {
  private struct Kind: Hashable {
    let dtype: DType
    let shape: Shape
    /// Of the first bytes.
    let head: UInt32
  }

  private static let pieceBytes = 1 << 18
  private static let headBytes = 4096

  /// Groups of two names or more, in the order of the checkpoint.
  /// - Throws: `.ioFailure`, `.outOfMemory`, `.cancelled`.
  static func groups(
    in source: any WeightSource, cancelled: () -> Bool
  ) throws(DFMergeError) -> [[String]] {
    let buffers = (
      try AlignedBuffer(byteCount: pieceBytes), try AlignedBuffer(byteCount: pieceBytes)
    )
    /// Of each kind the tensors found to differ from each other, with those like them.
    var found: [Kind: [[TensorView]]] = [:]
    var order: [Kind] = []
    for tensor in source.tensors where tensor.byteCount > 0 {
      let count = min(tensor.byteCount, headBytes)
      let head = try piece(tensor, 0, count, buffers.0)
      let kind = Kind(dtype: tensor.dtype, shape: tensor.shape, head: CRC32.of(head))
      if found[kind] == nil { order.append(kind) }
      var groups = found[kind] ?? []
      var place: Int?
      for (index, group) in groups.enumerated() {
        guard let first = group.first else { continue }
        if try areSame(first, tensor, buffers, cancelled: cancelled) {
          place = index
          break
        }
      }
      if let place { groups[place].append(tensor) } else { groups.append([tensor]) }
      found[kind] = groups
    }
    var ties: [[String]] = []
    for kind in order {
      for group in found[kind] ?? [] where group.count > 1 {
        guard let first = group.first, try !isConstant(first, buffers.0) else { continue }
        ties.append(group.map(\.name))
      }
    }
    for (dropped, kept) in source.metadata.sorted(by: { $0.key < $1.key })
    where source.tensor(named: kept) != nil && source.tensor(named: dropped) == nil {
      ties.append([kept, dropped])
    }
    return ties
  }

  private static func areSame(
    _ a: TensorView, _ b: TensorView, _ buffers: (AlignedBuffer, AlignedBuffer),
    cancelled: () -> Bool
  ) throws(DFMergeError) -> Bool {
    var start = 0
    while start < a.byteCount {
      if cancelled() { throw DFMergeError(.cancelled, "The inspection was stopped.") }
      let count = min(pieceBytes, a.byteCount - start)
      let left = try piece(a, start, count, buffers.0)
      let right = try piece(b, start, count, buffers.1)
      guard left.elementsEqual(right) else { return false }
      start += count
    }
    return true
  }

  /// Whether the first and any other element are alike: many a bias is all zeros and yet its own.
  private static func isConstant(
    _ tensor: TensorView, _ buffer: AlignedBuffer
  ) throws(DFMergeError) -> Bool {
    let width = max(tensor.dtype.bitWidth / 8, 1)
    let size = pieceBytes - pieceBytes % width
    let first = Array(try piece(tensor, 0, min(width, tensor.byteCount), buffer))
    var start = 0
    while start < tensor.byteCount {
      let bytes = try piece(tensor, start, min(size, tensor.byteCount - start), buffer)
      for (place, byte) in bytes.enumerated() where byte != first[place % first.count] {
        return false
      }
      start += bytes.count
    }
    return true
  }

  private static func piece(
    _ view: TensorView, _ start: Int, _ count: Int, _ buffer: AlignedBuffer
  ) throws(DFMergeError) -> UnsafeRawBufferPointer {
    guard let stored = view.stored else {
      return UnsafeRawBufferPointer(rebasing: view.bytes[start..<(start + count)])
    }
    let slot = UnsafeMutableRawBufferPointer(start: buffer.address, count: count)
    try stored.storage.read(into: slot, at: stored.offset + start)
    return UnsafeRawBufferPointer(slot)
  }
}
