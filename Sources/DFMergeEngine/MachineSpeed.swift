import CDFMergeShims
import DFMergeCore
import DFMergeIO
import DFMergeKernels
import Glibc

/// How fast this machine moves bytes at this moment, for the estimate of a plan.
struct MachineSpeed: Sendable {
  /// Bytes per second that one thread copies in memory, reads and writes counted.
  let memory: Double
  /// Bytes per second of reading the inputs' files by one thread; nil where they are in memory.
  let input: Double?
  /// Bytes per second of writing durably to the destination's disk; nil where that is memory or
  /// could not be tried.
  let output: Double?

  static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  /// Tries each on a small piece: about a tenth of a second, less than 50 MiB of memory and disk,
  /// all given back.
  static func measured(
    inputs: [TensorView], destination: MergeDestination
  ) -> MachineSpeed {
    let folder: String? =
      if case .path(let path) = destination { OutputFiles.existingFolder(for: path) } else { nil }
    return MachineSpeed(
      memory: copying(), input: reading(inputs), output: folder.flatMap { writing(in: $0) })
  }

  private static let blockBytes = 16 << 20

  /// Seconds of the fastest of three tries.
  private static func best(_ body: () -> Bool) -> Double? {
    var best: Double?
    for _ in 0..<3 {
      let start = now()
      guard body() else { return nil }
      best = min(best ?? .infinity, max(now() - start, 1e-9))
    }
    return best
  }

  private static func copying() -> Double {
    guard let from = try? AlignedBuffer(byteCount: blockBytes),
      let to = try? AlignedBuffer(byteCount: blockBytes),
      let seconds = best({
        to.address.copyMemory(from: from.address, byteCount: blockBytes)
        return true
      })
    else { return 1e10 }
    return Double(2 * blockBytes) / seconds
  }

  /// Reads 1 MiB from up to sixteen places: what is in the page cache reads at its speed, what is
  /// on the disk at the disk's.
  private static func reading(_ inputs: [TensorView]) -> Double? {
    let stored = inputs.filter { $0.stored != nil && $0.byteCount > 0 }
    guard !stored.isEmpty, let buffer = try? AlignedBuffer(byteCount: 1 << 20) else { return nil }
    var bytes = 0
    let start = now()
    for number in 0..<min(16, stored.count) {
      let view = stored[number * stored.count / min(16, stored.count)]
      let count = min(view.byteCount, 1 << 20)
      let piece = UnsafeMutableRawBufferPointer(start: buffer.address, count: count)
      guard let place = view.stored,
        (try? place.storage.read(into: piece, at: place.offset)) != nil
      else { return nil }
      bytes += count
    }
    return Double(bytes) / max(now() - start, 1e-9)
  }

  /// Writes to a file without a name, which no one sees and which goes away by itself.
  private static func writing(in folder: String) -> Double? {
    // Writing past the process's limit on sizes would raise a signal.
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0,
      UInt64(limit.rlim_cur) >= UInt64(2 * blockBytes)
    else { return nil }
    let descriptor = open(folder, O_WRONLY | dfmk_open_temporary | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    guard let block = try? AlignedBuffer(byteCount: blockBytes) else { return nil }
    let start = now()
    for number in 0..<2 {
      let count = pwrite(descriptor, block.address, blockBytes, off_t(number * blockBytes))
      guard count == blockBytes else { return nil }
    }
    guard fdatasync(descriptor) == 0 else { return nil }
    return Double(2 * blockBytes) / max(now() - start, 1e-9)
  }
}
