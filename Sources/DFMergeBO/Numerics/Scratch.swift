/// A fixed block of doubles that lives as long as its owner: room for the dense routines.
///
/// Zero at the start. One owner at a time; never shared between threads. `pointer` is valid while
/// the object lives, so a local one is held to the end of its use by `withExtendedLifetime`.
final class Scratch {
  let pointer: UnsafeMutablePointer<Double>
  let count: Int

  init(_ count: Int) {
    self.count = count
    pointer = .allocate(capacity: max(count, 1))
    pointer.initialize(repeating: 0, count: max(count, 1))
  }

  convenience init(_ values: [Double]) {
    self.init(values.count)
    for (index, value) in values.enumerated() { pointer[index] = value }
  }

  deinit { pointer.deallocate() }
}
