/// One slot per tile, each written by the one thread that works on that tile.
///
/// No lock: writers never share a slot, and readers come after the threads were joined. (A lock
/// would also have to survive a fork of the host.)
final class TileSlots<Value>: @unchecked Sendable {
  // Sendable: see above.
  private let storage: UnsafeMutableBufferPointer<Value>

  init(count: Int, initial: Value) {
    storage = .allocate(capacity: count)
    storage.initialize(repeating: initial)
  }

  deinit {
    storage.deinitialize()
    storage.deallocate()
  }

  subscript(tile: Int) -> Value {
    get { storage[tile] }
    // In place: a value that is got, changed and set again is copied where it is an array.
    _modify { yield &storage[tile] }
  }

  var values: [Value] { Array(storage) }
}
