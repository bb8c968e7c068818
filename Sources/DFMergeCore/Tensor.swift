import Glibc

/// A named tensor whose bytes belong to somebody else: row-major, contiguous, little-endian.
///
/// `owner`, where given, keeps the bytes alive (a mapped file, an owned buffer). Without an owner
/// the lender promises that they outlive the view and do not change while a call uses them.
public struct TensorView: @unchecked Sendable {
  // Sendable: the fields are immutable and the bytes are only read.
  public let name: String
  public let dtype: DType
  public let shape: Shape
  /// The elements; the address may be unaligned.
  public let bytes: UnsafeRawBufferPointer
  /// What keeps `bytes` alive, if anything does.
  public let owner: AnyObject?
  /// Where the same bytes can be read piece by piece; nil for memory.
  public let stored: StoredBytes?

  /// - Throws: `.invalidArgument` unless `bytes` holds exactly the elements of `shape`.
  public init(
    name: String, dtype: DType, shape: Shape, bytes: UnsafeRawBufferPointer,
    owner: AnyObject? = nil, stored: StoredBytes? = nil
  ) throws(DFMergeError) {
    try TensorView.check(name: name, dtype: dtype, shape: shape, byteCount: bytes.count)
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.bytes = bytes
    self.owner = owner
    self.stored = stored
  }

  /// The elements from number `start` on as a tensor of `shape`, in the same memory or file.
  /// - Throws: `.invalidArgument` where there are not as many.
  package func run(from start: Int, shape: Shape) throws(DFMergeError) -> TensorView {
    let (end, overflow) = start.addingReportingOverflow(shape.elementCount)
    guard start >= 0, !overflow, end <= self.shape.elementCount,
      let offset = dtype.byteCount(elements: start),
      let count = dtype.byteCount(elements: shape.elementCount)
    else {
      throw DFMergeError(
        .invalidArgument,
        "Tensor '\(name)' is \(self.shape), in which there is no \(shape) from element \(start) on.",
        context: ["tensor": name])
    }
    let there = stored.map { StoredBytes(storage: $0.storage, offset: $0.offset &+ offset) }
    guard bytes.baseAddress != nil else {
      guard let there else { return self }
      return try TensorView(name: name, dtype: dtype, shape: shape, stored: there)
    }
    return try TensorView(
      name: name, dtype: dtype, shape: shape,
      bytes: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset &+ count]), owner: owner,
      stored: there)
  }

  /// Whether another view is of the very same elements: the same bytes in memory or in a file, not
  /// equal ones elsewhere. False for tensors without elements.
  package func isSameMemory(as other: TensorView) -> Bool {
    guard dtype == other.dtype, shape == other.shape, byteCount > 0 else { return false }
    if let address = bytes.baseAddress { return address == other.bytes.baseAddress }
    guard let stored, let there = other.stored else { return false }
    return stored.storage === there.storage && stored.offset == there.offset
  }

  static func check(
    name: String, dtype: DType, shape: Shape, byteCount: Int
  ) throws(DFMergeError) {
    guard let expected = dtype.byteCount(elements: shape.elementCount), expected == byteCount else {
      throw DFMergeError(
        .invalidArgument,
        "Tensor '\(name)' is \(dtype.name) \(shape), which does not take \(byteCount) bytes; "
          + "pass a contiguous tensor and its exact byte length.",
        context: ["tensor": name])
    }
  }
}

/// A named tensor that may be written: the host's own parameter memory, or a buffer of ours.
public struct MutableTensorView: @unchecked Sendable {
  // Sendable: writers split the bytes into disjoint tiles.
  public let name: String
  public let dtype: DType
  public let shape: Shape
  public let bytes: UnsafeMutableRawBufferPointer
  public let owner: AnyObject?

  /// - Throws: `.invalidArgument` unless `bytes` holds exactly the elements of `shape`.
  public init(
    name: String, dtype: DType, shape: Shape, bytes: UnsafeMutableRawBufferPointer,
    owner: AnyObject? = nil
  ) throws(DFMergeError) {
    try TensorView.check(name: name, dtype: dtype, shape: shape, byteCount: bytes.count)
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.bytes = bytes
    self.owner = owner
  }
}

/// Zero-filled memory that the library owns, aligned to 64 bytes and freed with the object.
public final class AlignedBuffer: @unchecked Sendable {
  // Sendable: a plain block of bytes; users split it into disjoint tiles before they write.
  public let address: UnsafeMutableRawPointer
  public let bytes: UnsafeMutableRawBufferPointer
  private let isMapped: Bool

  /// From here on the system is asked itself: the allocator of C keeps blocks of up to 32 MiB that
  /// were freed, in each of several arenas, and the process never shrinks.
  private static let leastMapped = 1 << 20

  /// - Throws: `.outOfMemory` when `byteCount` is negative or cannot be had.
  public init(byteCount: Int) throws(DFMergeError) {
    guard byteCount >= 0, byteCount <= Int.max - 64 else {
      throw DFMergeError(.outOfMemory, "A buffer of \(byteCount) bytes cannot be made.")
    }
    isMapped = byteCount >= AlignedBuffer.leastMapped
    if isMapped {
      let mapping = mmap(
        nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      guard let mapping, mapping != MAP_FAILED else {
        throw AlignedBuffer.unavailable(byteCount)
      }
      // Zero already; written all the same, so that the pages are there when they are timed or
      // needed.
      mapping.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
      address = mapping
      bytes = UnsafeMutableRawBufferPointer(start: mapping, count: byteCount)
      return
    }
    // posix_memalign rather than the allocator of Swift, which traps when memory runs out.
    var address: UnsafeMutableRawPointer?
    guard posix_memalign(&address, 64, max(byteCount, 64)) == 0, let address else {
      throw AlignedBuffer.unavailable(byteCount)
    }
    address.initializeMemory(as: UInt8.self, repeating: 0, count: max(byteCount, 64))
    self.address = address
    bytes = UnsafeMutableRawBufferPointer(start: address, count: byteCount)
  }

  deinit {
    if isMapped { munmap(address, bytes.count) } else { free(address) }
  }

  private static func unavailable(_ byteCount: Int) -> DFMergeError {
    DFMergeError(
      .outOfMemory, "A buffer of \(byteCount) bytes could not be had; free memory and try again.")
  }
}
