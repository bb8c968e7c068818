import Glibc

/// The live handles by number, for any thread.
///
/// The lock is a POSIX mutex, not `Synchronization.Mutex`: hosts fork (Python's multiprocessing),
/// and the latter, once contended in the child, ends the process ("Unknown error occurred while
/// attempting to acquire a Mutex"; seen with Swift 6.3). The fork handlers keep the table whole in
/// a child that is forked while another thread changes it.
final class HandleRegistry: @unchecked Sendable {
  // Sendable: `objects` and `next` are only touched with the mutex held.

  /// The registry of this process; it is never taken down.
  static let live = HandleRegistry()

  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var objects: [UInt: any HandleObject] = [:]
  private var next: UInt = 0

  // The high byte puts every handle outside the addresses that a process can have. The next
  // twelve bits are from an address of this copy of the library: a process may have another one, in a Python
  // package for example, and the handles of one must not be those of the other.
  private let base: UInt

  private init() {
    base = 0xDF00_0000_0000_0000 | (UInt(bitPattern: mutex) >> 4 & 0xFFF) << 44
    mutex.initialize(to: pthread_mutex_t())
    pthread_mutex_init(mutex, nil)
    pthread_atfork(
      { pthread_mutex_lock(HandleRegistry.live.mutex) },
      { pthread_mutex_unlock(HandleRegistry.live.mutex) },
      { pthread_mutex_unlock(HandleRegistry.live.mutex) })
  }

  func insert(_ object: any HandleObject) -> OpaquePointer? {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    // Steps of 16, as addresses have: bindings may take the low bits for tags.
    next &+= 16
    let number = base | (next & 0xFFF_FFFF_FFFF)
    objects[number] = object
    return OpaquePointer(bitPattern: number)
  }

  func object(at handle: OpaquePointer) -> (any HandleObject)? {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return objects[UInt(bitPattern: handle)]
  }

  func remove(_ handle: OpaquePointer) -> (any HandleObject)? {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return objects.removeValue(forKey: UInt(bitPattern: handle))
  }

  var count: Int {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return objects.count
  }
}
