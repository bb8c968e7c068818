import DFMergeCore
import Glibc

/// A regular file open for reading.
final class InputFile {
  let path: String
  /// The size when the file was opened.
  let byteCount: Int
  /// The permission bits.
  let permissions: mode_t
  /// Which file of which disk this is, whatever its name.
  let identity: FileIdentity
  private let descriptor: Int32

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
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Up to `buffer.count` bytes from `offset`, fewer only at the end of the file.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(DFMergeError) -> Int
  {
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
        done = try read(into: buffer, at: offset)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    guard done == count else {
      throw DFMergeError(
        .ioFailure, "\(path) became shorter while it was read; is another program writing it?",
        context: ["path": path])
    }
    return bytes
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
