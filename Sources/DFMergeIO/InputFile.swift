import DFMergeCore
import Glibc
import Synchronization

/// A regular file open for reading.
///
/// Each keeps one descriptor open. Renaming, replacing or removing the file does no harm: what was
/// opened is read to the end.
final class InputFile: Sendable {
  let path: String
  /// The size when the file was opened.
  let byteCount: Int
  /// The permission bits.
  let permissions: mode_t
  /// Which file of which disk this is, whatever its name.
  let identity: FileIdentity
  /// When the contents were last written, by the file system's clock.
  private let writtenAt: timespec
  private let descriptor: Int32
  private let isSequential = Atomic<Bool>(false)

  /// - Throws: `.fileNotFound`, `.ioFailure` (also for a folder, a pipe or a device).
  init(path: String) throws(DFMergeError) {
    try checkPath(path)
    // O_NONBLOCK: opening a named pipe must not wait for a writer; regular files do not care.
    let descriptor = retryingInterrupts { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
    guard descriptor >= 0 else { throw .system("Opening", path: path, status: errno) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      let code = errno
      close(descriptor)
      throw .system("Looking at", path: path, status: code)
    }
    guard FileKind(mode: status.st_mode) == .file, let size = Int(exactly: status.st_size) else {
      close(descriptor)
      throw DFMergeError(
        .ioFailure, "\(path) is not a regular file; pass the path of a file.",
        context: ["path": path])
    }
    self.path = path
    byteCount = size
    permissions = status.st_mode & 0o777
    identity = FileIdentity(status)
    writtenAt = status.st_mtim
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Up to `buffer.count` bytes from `offset`, fewer only at the end of the file.
  func readSome(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(DFMergeError) -> Int {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let (position, overflow) = offset.addingReportingOverflow(done)
      guard !overflow else { break }
      let count = retryingInterrupts {
        pread(descriptor, rest.baseAddress, rest.count, off_t(position))
      }
      guard count >= 0 else { throw .system("Reading", path: path, status: errno) }
      guard count > 0 else { break }
      done += count
    }
    return done
  }

  /// The bytes `offset ..< offset + count`.
  /// - Throws: `.ioFailure` when the file ends before, `.outOfMemory`.
  func read(count: Int, at offset: Int) throws(DFMergeError) -> [UInt8] {
    guard count >= 0, count <= byteCount else {
      throw DFMergeError(
        .ioFailure, "\(path) has \(byteCount) bytes, fewer than the \(count) to read.",
        context: ["path": path])
    }
    var bytes = [UInt8](repeating: 0, count: count)
    var failure: DFMergeError?
    var done = 0
    bytes.withUnsafeMutableBytes { buffer in
      do throws(DFMergeError) {
        done = try readSome(into: buffer, at: offset)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    guard done == count else { throw changed }
    return bytes
  }

  /// All bytes of a file of text.
  /// - Throws: `.invalidFormat` for one of more than 100 MB, which is none.
  func readAll() throws(DFMergeError) -> [UInt8] {
    guard byteCount <= SafetensorsHeader.longest else {
      throw DFMergeError(
        .invalidFormat,
        "\(path) has \(byteCount) bytes; a text to be edited has at most "
          + "\(SafetensorsHeader.longest).",
        context: ["path": path])
    }
    return try read(count: byteCount, at: 0)
  }

  /// Maps the whole file, read-only. The mapping outlives this object.
  func map() throws(DFMergeError) -> MappedFile {
    guard byteCount > 0 else { return MappedFile(UnsafeRawBufferPointer(start: nil, count: 0)) }
    let address = mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, descriptor, 0)
    guard let address, address != MAP_FAILED else {
      throw .system("Mapping", path: path, status: errno)
    }
    return MappedFile(UnsafeRawBufferPointer(start: address, count: byteCount))
  }
}

extension InputFile: TensorStorage {
  /// - Throws: `.ioFailure`, also when the file was cut or written to since it was opened: no piece
  ///   of other contents comes back unnoticed, as far as the file system's clock can tell.
  func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(DFMergeError) {
    if isSequential.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged {
      // 1.1 GB not in the page cache, 2 threads: 0.47 s; without 1.8 s, WILLNEED ahead 0.85 s.
      posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL)
    }
    guard try readSome(into: buffer, at: offset) == buffer.count else { throw changed }
    var status = stat()
    guard fstat(descriptor, &status) == 0, Int(exactly: status.st_size) == byteCount,
      status.st_mtim.tv_sec == writtenAt.tv_sec, status.st_mtim.tv_nsec == writtenAt.tv_nsec
    else { throw changed }
  }

  /// Worth it before a jump; pieces in the order of the file are read ahead without it.
  func willRead(offset: Int, count: Int) {
    guard count > 0, offset >= 0 else { return }
    posix_fadvise(descriptor, off_t(offset), off_t(count), POSIX_FADV_WILLNEED)
  }

  /// What is wrong when the file is no longer the one that was opened.
  var changed: DFMergeError {
    DFMergeError(
      .ioFailure,
      "\(path) was cut or changed while it was read; wait until nobody writes it and try again.",
      context: ["path": path])
  }
}

/// The bytes of a file, read by the system when they are touched.
///
/// The file may be renamed, replaced by a rename, or removed while it is mapped. It must not be
/// *shortened in place*: touching a page beyond the new end raises SIGBUS, as with every mapping.
final class MappedFile: @unchecked Sendable {
  // Sendable: the mapping is read-only and lives as long as the object.
  let bytes: UnsafeRawBufferPointer

  fileprivate init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  deinit {
    if let address = bytes.baseAddress {
      munmap(UnsafeMutableRawPointer(mutating: address), bytes.count)
    }
  }
}
