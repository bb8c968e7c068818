import DFMergeCore
import DFMergeKernels
import Glibc
import Synchronization

/// What one thread needs to compare pieces: room for what is read, and for the numbers in it.
final class PieceComparer: Sendable {
  struct Result: Sendable {
    var hasSameBytes = false
    var difference: TensorDifference?
  }

  /// Bytes of a, b and the base, and their elements as doubles.
  private let read: [AlignedBuffer]
  private let numbers: [AlignedBuffer]

  init(pieceCount: Int) throws(DFMergeError) {
    var buffers: [AlignedBuffer] = []
    // No type has more than eight bytes.
    for _ in 0..<6 { buffers.append(try AlignedBuffer(byteCount: pieceCount * 8)) }
    read = Array(buffers[..<3])
    numbers = Array(buffers[3...])
  }

  /// Elements `start ..< start + count` of a pair.
  func compare(
    _ pair: CheckpointComparison.Pair, start: Int, count: Int
  ) throws(DFMergeError) -> Result {
    var result = Result()
    let a = try bytes(pair.a, start, count, read[0])
    let b = try bytes(pair.b, start, count, read[1])
    result.hasSameBytes = pair.a.dtype == pair.b.dtype && a.count == b.count && a.elementsEqual(b)
    guard pair.a.dtype.isMergeable, pair.b.dtype.isMergeable else { return result }
    guard count > 0 else {
      result.difference = TensorDifference()
      return result
    }
    convert(a, pair.a.dtype, count, to: numbers[0])
    convert(b, pair.b.dtype, count, to: numbers[1])
    if let base = pair.base {
      convert(try bytes(base, start, count, read[2]), base.dtype, count, to: numbers[2])
    }
    var difference = TensorDifference.between(
      UnsafeRawPointer(numbers[0].address), UnsafeRawPointer(numbers[1].address),
      base: pair.base == nil ? nil : UnsafeRawPointer(numbers[2].address), count: count)
    // A NaN differs from itself as a number, and not as the bytes that it is.
    if result.hasSameBytes { difference.differing = 0 }
    result.difference = difference
    return result
  }

  /// Reads elements; types of less than a byte have whole tensors of whole bytes, and pieces too.
  private func bytes(
    _ view: TensorView, _ start: Int, _ count: Int, _ buffer: AlignedBuffer
  ) throws(DFMergeError) -> UnsafeRawBufferPointer {
    let width = view.dtype.bitWidth
    let offset = start &* width / 8
    // The last piece of such a type may end within what would be a byte of a longer one.
    let size = (count &* width &+ 7) / 8
    if let stored = view.stored {
      let slot = UnsafeMutableRawBufferPointer(start: buffer.address, count: size)
      try stored.storage.read(into: slot, at: stored.offset &+ offset)
      return UnsafeRawBufferPointer(slot)
    }
    return UnsafeRawBufferPointer(rebasing: view.bytes[offset..<(offset &+ size)])
  }

  private func convert(
    _ bytes: UnsafeRawBufferPointer, _ dtype: DType, _ count: Int, to numbers: AlignedBuffer
  ) {
    guard let address = bytes.baseAddress else { return }
    Kernels.convert(
      into: MutableElements(pointer: numbers.address, dtype: .f64),
      Elements(pointer: address, dtype: dtype), count: count)
  }
}

/// What came of each piece, set by any thread, each its own.
final class PieceResults: @unchecked Sendable {
  // Sendable: each place is written by the one thread that has its piece, and read when all are
  // done; the rest is atomic or under the lock.
  private let places: UnsafeMutableBufferPointer<PieceComparer.Result>
  private let read = Atomic<Int>(0)
  private let hasFailed = Atomic<Bool>(false)
  private var failure: DFMergeError?
  private var lock = pthread_mutex_t()

  init(count: Int) {
    places = .allocate(capacity: count)
    places.initialize(repeating: PieceComparer.Result())
    pthread_mutex_init(&lock, nil)
  }

  deinit {
    places.deinitialize()
    places.deallocate()
    pthread_mutex_destroy(&lock)
  }

  /// Bytes of the pieces that are done.
  var bytes: Int { read.load(ordering: .relaxed) }

  subscript(item: Int) -> PieceComparer.Result { places[item] }

  func set(
    _ item: Int, bytes: Int, _ body: () throws(DFMergeError) -> PieceComparer.Result
  ) {
    do throws(DFMergeError) {
      places[item] = try body()
      read.add(bytes, ordering: .relaxed)
    } catch {
      pthread_mutex_lock(&lock)
      failure = failure ?? error
      pthread_mutex_unlock(&lock)
      hasFailed.store(true, ordering: .releasing)
    }
  }

  func throwIfFailed() throws(DFMergeError) {
    guard hasFailed.load(ordering: .acquiring) else { return }
    pthread_mutex_lock(&lock)
    let found = failure
    pthread_mutex_unlock(&lock)
    if let found { throw found }
  }
}
