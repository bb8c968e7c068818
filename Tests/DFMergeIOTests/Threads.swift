import DFMergeCore
import Glibc
import Synchronization
import Testing

/// Calls `body(i)` for each `i` in `0..<count`, each on a thread of its own; the first error thrown
/// is thrown again.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Void) throws {
  let work = ThreadWork(body)
  var threads: [pthread_t] = []
  for _ in 0..<count {
    var thread = pthread_t()
    let status = pthread_create(
      &thread, nil,
      { pointer in
        guard let pointer else { return nil }
        Unmanaged<ThreadWork>.fromOpaque(pointer).takeRetainedValue().run()
        return nil
      }, Unmanaged.passRetained(work).toOpaque())
    try #require(status == 0)
    threads.append(thread)
  }
  for thread in threads { pthread_join(thread, nil) }
  if let failure = work.failure { throw failure }
}

private final class ThreadWork: @unchecked Sendable {
  // Sendable: `failure` is written once, by the thread that wins `hasFailed`, and read after joining.
  private let next = Atomic<Int>(0)
  private let hasFailed = Atomic<Bool>(false)
  private let body: @Sendable (Int) throws -> Void
  private(set) var failure: (any Error)?

  init(_ body: @escaping @Sendable (Int) throws -> Void) { self.body = body }

  func run() {
    let number = next.wrappingAdd(1, ordering: .relaxed).oldValue
    do {
      try body(number)
    } catch {
      let isFirst = hasFailed.compareExchange(
        expected: false, desired: true, ordering: .acquiringAndReleasing
      ).exchanged
      if isFirst { failure = error }
    }
  }
}

/// Numbers that look random and are the same in every run.
struct Shuffler: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
