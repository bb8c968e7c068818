import DFMergeCore
import Glibc

/// The memory of a search on disk: one checked JSON line per event, safe against a kill at any
/// byte.
///
/// Format of a line:  {"crc":"xxxxxxxx","event":{...}}\n   with the CRC-32 of the event's bytes.
/// Each event is written with one `write` and, where `durably`, followed by `fsync`. A file whose
/// last line is torn is cut back to its last whole line when it is opened; damage anywhere before
/// that is an error. The file is locked (`flock`) for as long as the journal is open, by this
/// process alone (see ``OpenJournals``). Events that
/// say when and how fast ("session", "timing") are kept apart from those that say what happened,
/// so that two runs of one search have equal lines but for those.
final class Journal {
  /// Events found when the journal was opened, in order.
  private(set) var events: [JSONValue] = []
  /// Bytes of a torn last line that were cut off; 0 for a whole file.
  private(set) var repairedBytes = 0
  let path: String
  private let descriptor: Int32

  /// Opens `path` for reading and appending, creating it where it does not exist.
  /// - Throws: `.ioFailure` (also for a pipe or a device), `.fileLocked` when another process has
  ///   it open, `.journalDamaged` when a line before the last is not whole or when the file is no
  ///   journal at all. The file is unchanged then.
  init(path: String) throws(DFMergeError) {
    self.path = path
    // O_NONBLOCK: opening a device must not wait; regular files do not care.
    descriptor = OpenJournals.shared.open(
      path, O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND | O_NONBLOCK, 0o644)
    guard descriptor >= 0 else {
      throw Journal.failure("opened", path)
    }
    // From here on deinit closes the descriptor when something throws; a second close could hit a
    // file that another thread of the host has just opened under the same number.
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Journal.failure("looked at", path) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw DFMergeError(
        .ioFailure, "The journal '\(path)' is not a regular file; choose another path.",
        context: ["path": path])
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      guard errno == EWOULDBLOCK else { throw Journal.failure("locked", path) }
      throw DFMergeError(
        .fileLocked,
        "The journal '\(path)' is in use by another search; wait for it or choose another path.",
        context: ["path": path])
    }
    try load()
  }

  deinit { OpenJournals.shared.close(descriptor) }

  /// Appends one event; it is on disk when this returns if `durably`.
  func append(_ event: JSONValue, durably: Bool) throws(DFMergeError) {
    guard OpenJournals.shared.contains(descriptor) else {
      throw DFMergeError(
        .invalidState,
        "The journal '\(path)' belongs to the process that this one was forked from; run a search "
          + "in one process.", context: ["path": path])
    }
    let payload = Array(try event.text().utf8)
    var line = Array("{\"crc\":\"\(Journal.hex(CRC32.of(payload)))\",\"event\":".utf8)
    line += payload
    line += Array("}\n".utf8)
    var written = 0
    while written < line.count {
      let count = line[written...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw Journal.failure("written", path) }
      written += count
    }
    if durably, fsync(descriptor) != 0 { throw Journal.failure("synced", path) }
    events.append(event)
  }

  // MARK: Reading

  private static let prefix = Array("{\"crc\":\"".utf8)
  private static let middle = Array("\",\"event\":".utf8)

  private func load() throws(DFMergeError) {
    let bytes = try readAll()
    var start = 0
    var number = 0
    while start < bytes.count {
      number += 1
      let newline = bytes[start...].firstIndex(of: UInt8(ascii: "\n"))
      let end = newline ?? bytes.count
      if newline != nil, let event = Journal.event(bytes[start..<end]) {
        events.append(event)
        start = end + 1
        continue
      }
      // Only the last line can be torn by a kill: something after it means damage.
      guard newline == nil || end + 1 == bytes.count else {
        throw DFMergeError(
          .journalDamaged,
          "Line \(number) of the journal '\(path)' is damaged (its checksum does not match) and "
            + "is not the last line; restore the file or start with a new journal.",
          context: ["path": path, "line": "\(number)"])
      }
      // Nor is the only line of a file that never was a journal: it may be all that somebody has.
      guard start > 0 || Journal.isTornStart(bytes[...]) else {
        throw DFMergeError(
          .journalDamaged,
          "The file '\(path)' is not a journal; it is left as it is. Choose another path.",
          context: ["path": path])
      }
      repairedBytes = bytes.count - start
      guard ftruncate(descriptor, off_t(start)) == 0, fsync(descriptor) == 0 else {
        throw Journal.failure("repaired", path)
      }
      return
    }
  }

  private func readAll() throws(DFMergeError) -> [UInt8] {
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let offset = off_t(bytes.count)
      let count = block.withUnsafeMutableBytes {
        pread(descriptor, $0.baseAddress, $0.count, offset)
      }
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw Journal.failure("read", path) }
      guard count > 0 else { return bytes }
      bytes += block[..<count]
    }
  }

  /// Whether `bytes` can be what a kill has left of a journal's first line: its beginning, or the
  /// zeros of a file that grew before its bytes came.
  private static func isTornStart(_ bytes: ArraySlice<UInt8>) -> Bool {
    bytes.allSatisfy { $0 == 0 } || zip(bytes, prefix).allSatisfy { $0 == $1 }
  }

  private static func event(_ line: ArraySlice<UInt8>) -> JSONValue? {
    let head = prefix.count + 8 + middle.count
    guard line.count > head, line.last == UInt8(ascii: "}"), line.starts(with: prefix) else {
      return nil
    }
    let payload = line.dropFirst(head).dropLast()
    let sum = line.dropFirst(prefix.count).prefix(8)
    guard line.dropFirst(prefix.count + 8).starts(with: middle),
      sum.elementsEqual(hex(CRC32.of(payload)).utf8)
    else { return nil }
    return try? JSONValue(parsing: payload, what: "A journal line")
  }

  private static func hex(_ value: UInt32) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }

  private static func failure(_ action: String, _ path: String) -> DFMergeError {
    let reason = String(cString: strerror(errno))
    return DFMergeError(
      .ioFailure, "The journal '\(path)' could not be \(action): \(reason).",
      context: ["path": path])
  }
}
