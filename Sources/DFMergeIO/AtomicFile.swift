import CDFMergeShims
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
  private var isDiscarded = false

  /// Between two blocks of this size a writer asks whether it should stop.
  package static let blockByteCount = 8 << 20

  /// Makes the temporary file.
  /// - Parameters:
  ///   - byteCount: how large it will be, to refuse at once what the disk has no room for. From
  ///     ``reservedFrom`` on the room is taken now, where the file system can do that.
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
    try Folder.checkSpace(byteCount, descriptor: descriptor, path: path)
    try checkLimit(byteCount)
    try reserve(byteCount)
  }

  deinit { discard() }

  /// Removes the temporary file now, unless it is published; nothing can be written afterwards.
  func discard() {
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
    if !isPublished, !isDiscarded { unlink(temporaryPath) }
    isDiscarded = true
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

  /// Smaller files are written faster than their room is taken.
  private static let reservedFrom = 1 << 20

  /// Takes the room for the whole file: what is written later can then not fail for lack of it,
  /// lies in one piece, and is written to by several threads at once (ext4, XFS).
  private func reserve(_ byteCount: Int) throws(DFMergeError) {
    guard byteCount >= AtomicFile.reservedFrom,
      retryingInterrupts({ dfmk_reserve(descriptor, Int64(byteCount)) }) != 0
    else { return }
    // A file system that cannot reserve says so in various ways; then writing will tell.
    guard errno != ENOSPC, errno != EDQUOT else {
      throw .system("Reserving \(byteCount) bytes for", path: path, status: errno)
    }
  }

  /// Refuses a file over the process's limit on sizes: writing past it raises a signal.
  private func checkLimit(_ byteCount: Int) throws(DFMergeError) {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0,
      UInt64(clamping: byteCount) > UInt64(limit.rlim_cur)
    else { return }
    throw DFMergeError(
      .ioFailure,
      "\(path) needs \(byteCount) bytes, but this process may write files of \(limit.rlim_cur) at "
        + "most; raise the limit (ulimit -f) or write smaller shards.",
      context: ["path": path])
  }
}

extension AtomicFile {
  /// One more descriptor of the temporary file that passes the page cache by; nil where the file
  /// system has none. Memory, offset and count of its writes must be multiples of 4096.
  func openDirect() -> Int32? {
    let direct = retryingInterrupts {
      open(temporaryPath, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | dfmk_open_direct)
    }
    return direct >= 0 ? direct : nil
  }

  /// Lets the disk begin to take what was written, so that sealing waits for little.
  func startWriting(at offset: Int, count: Int) {
    dfmk_start_writing(descriptor, Int64(offset), Int64(count))
  }
}
