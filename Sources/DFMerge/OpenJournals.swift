import Glibc

/// The descriptors of the journals that this process has open.
///
/// A lock by `flock` belongs to everybody who has inherited the descriptor: workers that a host
/// forks in a callback (a data loader's) would keep a journal locked after the search itself was
/// killed, and it could not be continued until the last of them had gone. So a forked child closes
/// its copies at once, which leaves the parent's lock in place.
final class OpenJournals: @unchecked Sendable {
  // Sendable: `descriptors` is only touched with the mutex held. A POSIX mutex, because the child
  // of a fork has to let go of it.

  /// The table of this process; it is never taken down.
  static let shared = OpenJournals()

  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var descriptors: [Int32] = []

  private init() {
    mutex.initialize(to: pthread_mutex_t())
    pthread_mutex_init(mutex, nil)
    pthread_atfork(
      { pthread_mutex_lock(OpenJournals.shared.mutex) },
      { pthread_mutex_unlock(OpenJournals.shared.mutex) },
      {
        let journals = OpenJournals.shared
        for descriptor in journals.descriptors { Glibc.close(descriptor) }
        journals.descriptors.removeAll(keepingCapacity: true)
        pthread_mutex_unlock(journals.mutex)
      })
  }

  /// Opens `path`; the result is below 0, with `errno` set, when that fails.
  func open(_ path: String, _ flags: Int32, _ permissions: mode_t) -> Int32 {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    let descriptor = Glibc.open(path, flags, permissions)
    if descriptor >= 0 { descriptors.append(descriptor) }
    return descriptor
  }

  /// Whether this process itself, not the one that it was forked from, has opened `descriptor`.
  func contains(_ descriptor: Int32) -> Bool {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return descriptors.contains(descriptor)
  }

  /// Closes `descriptor`, unless a fork has done so already.
  func close(_ descriptor: Int32) {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    guard let place = descriptors.firstIndex(of: descriptor) else { return }
    descriptors.remove(at: place)
    Glibc.close(descriptor)
  }
}
