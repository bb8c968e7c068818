import DFMergeCore
import Glibc

/// A new file that appears under its name complete or not at all.
///
/// Bytes go to a hidden temporary file in the same folder, `.dfmerge-<process>-<random>.tmp`;
/// `publish` makes them durable and renames it to its name in one step, replacing what was there.
/// Whoever has the old file open or mapped keeps the old bytes. A symbolic link is replaced, not
/// followed: the file that it points to may belong to a cache. An object that goes away unpublished
/// removes its temporary file; only a process killed on the way leaves one.
package final class AtomicFile {
  /// The name that the file will have.
  package let path: String
  private let temporaryPath: String
  private var descriptor: Int32
  private var isPublished = false

  /// Between two blocks of this size a writer asks whether it should stop.
  package static let blockByteCount = 8 << 20

  /// Makes the temporary file.
  /// - Parameters:
  ///   - byteCount: how large it will be, to refuse at once what the disk has no room for.
  ///   - permissions: the permission bits; nil takes those of the file to be replaced, or what the
  ///     process gives a new file.
  /// - Throws: `.fileNotFound` for a missing folder; `.ioFailure`.
  package init(
    path: String, byteCount: Int = 0, permissions: mode_t? = nil
  ) throws(DFMergeError) {
    try checkPath(path)
    let existing = FileKind.status(path, followingLinks: false)
    switch existing.map({ FileKind(mode: $0.st_mode) }) {
    case nil, .file, .symbolicLink: break
    case .folder, .other:
      throw DFMergeError(
        .ioFailure, "\(path) exists and is not a file, so it is not replaced; choose another name.",
        context: ["path": path])
    }
    let temporary = try AtomicFile.makeTemporary(in: Folder.parent(of: path), for: path)
    self.path = path
    temporaryPath = temporary.path
    descriptor = temporary.descriptor
    // From here on deinit cleans up when something throws.
    var bits = permissions
    if bits == nil, let existing, FileKind(mode: existing.st_mode) == .file {
      bits = existing.st_mode & 0o777
    }
    if let bits, fchmod(descriptor, bits) != 0, errno != EPERM {
      throw .system("Setting the permissions of", path: path, status: errno)
    }
    try checkSpace(byteCount)
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
    if !isPublished { unlink(temporaryPath) }
  }

  /// Writes `bytes` at `offset`, in blocks, with `poll` called before each.
  /// - Throws: `.ioFailure`; what `poll` throws.
  package func write(
    _ bytes: UnsafeRawBufferPointer, at offset: Int, poll: () throws(DFMergeError) -> Void = {}
  ) throws(DFMergeError) {
    let (_, overflow) = offset.addingReportingOverflow(bytes.count)
    guard descriptor >= 0, offset >= 0, !overflow else {
      throw DFMergeError(
        .invalidState, "\(path) is closed, or \(offset) is no place in it; write before closing.",
        context: ["path": path])
    }
    var done = 0
    while done < bytes.count {
      try poll()
      let end = min(bytes.count, done + AtomicFile.blockByteCount)
      let block = UnsafeRawBufferPointer(rebasing: bytes[done..<end])
      let count = retryingInterrupts {
        pwrite(descriptor, block.baseAddress, block.count, off_t(offset + done))
      }
      guard count > 0 else {
        throw .system("Writing", path: path, status: count == 0 ? ENOSPC : errno)
      }
      done += count
    }
  }

  /// Makes the bytes durable and closes the temporary file; nothing can be written afterwards.
  package func seal() throws(DFMergeError) {
    guard descriptor >= 0 else { return }
    guard retryingInterrupts({ fsync(descriptor) }) == 0 else {
      throw .system("Writing", path: path, status: errno)
    }
    let closing = descriptor
    descriptor = -1
    // On Linux the descriptor is gone whatever close says, and fsync has reported the data.
    close(closing)
  }

  /// Seals the file and gives it its name. Call ``Folder/synchronize(_:)`` to make that durable.
  package func publish() throws(DFMergeError) {
    guard !isPublished else { return }
    try seal()
    guard rename(temporaryPath, path) == 0 else {
      throw .system("Replacing", path: path, status: errno)
    }
    isPublished = true
  }

  /// Writes `contents` to `path`, complete or not at all, and durable on return.
  package static func write(_ contents: some Sequence<UInt8>, to path: String) throws(DFMergeError)
  {
    let bytes = Array(contents)
    let file = try AtomicFile(path: path, byteCount: bytes.count)
    try file.write(bytes)
    try file.publish()
    try Folder.synchronize(Folder.parent(of: path))
  }

  /// Writes the whole of `bytes` from the start of the file.
  func write(_ bytes: [UInt8]) throws(DFMergeError) {
    var failure: DFMergeError?
    bytes.withUnsafeBytes { buffer in
      do throws(DFMergeError) {
        try write(buffer, at: 0)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }

  private static func makeTemporary(
    in folder: String, for path: String
  ) throws(DFMergeError) -> (path: String, descriptor: Int32) {
    for _ in 0..<16 {
      let suffix = String(UInt32.random(in: .min ... .max), radix: 16)
      let temporary = Folder.join(folder, ".dfmerge-\(getpid())-\(suffix).tmp")
      let descriptor = retryingInterrupts {
        open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o666)
      }
      if descriptor >= 0 { return (temporary, descriptor) }
      guard errno == EEXIST else { break }
    }
    throw .system("Making a file beside", path: path, status: errno)
  }

  /// Refuses a file that is larger than the free space: better now than after hours of work. File
  /// systems that report no size at all are believed to have room.
  private func checkSpace(_ byteCount: Int) throws(DFMergeError) {
    var status = statvfs()
    guard byteCount > 0, fstatvfs(descriptor, &status) == 0, status.f_blocks > 0 else { return }
    let (free, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(
      by: UInt64(status.f_frsize))
    guard overflow || UInt64(byteCount) <= free else {
      throw DFMergeError(
        .ioFailure,
        "\(path) needs \(byteCount) bytes, but its disk has \(free) free; free space or choose "
          + "another folder.",
        context: ["path": path])
    }
  }
}
