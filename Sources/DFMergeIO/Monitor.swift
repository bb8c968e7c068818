import Glibc

/// A lock with a signal: one thread at a time inside `locked`, which can wait for the others there.
package final class Monitor: @unchecked Sendable {
  // Sendable: the system's mutex and condition are made to be shared.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  package init() {
    mutex.initialize(to: pthread_mutex_t())
    condition.initialize(to: pthread_cond_t())
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// The result of `body`, alone under the lock.
  package func locked<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body()
  }

  /// Leaves the lock until another thread calls `wakeAll`; inside `locked` only.
  package func wait() { pthread_cond_wait(condition, mutex) }

  /// Wakes the threads that wait; inside `locked` only.
  package func wakeAll() { pthread_cond_broadcast(condition) }
}
