import DFMergeCore
import Glibc

/// Folders as lists of names.
enum Folder {
  /// The names in a folder without `.` and `..`, sorted by their bytes.
  /// - Throws: `.fileNotFound`, `.ioFailure`.
  static func names(in path: String) throws(DFMergeError) -> [String] {
    guard let stream = opendir(path) else {
      throw .system("Listing", path: path, status: errno)
    }
    defer { closedir(stream) }
    // The name is read in place: copying the whole field would read past a short last entry.
    guard let nameOffset = MemoryLayout<dirent>.offset(of: \.d_name) else {
      throw DFMergeError(.internalError, "The layout of a folder entry is not known.")
    }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else { break }
      let name = UnsafeRawPointer(entry).advanced(by: nameOffset)
      names.append(String(cString: name.assumingMemoryBound(to: CChar.self)))
    }
    guard errno == 0 else { throw .system("Listing", path: path, status: errno) }
    return names.filter { $0 != "." && $0 != ".." }
      .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// Makes `path` and the folders above it that are missing.
  /// - Returns: the folders that were made, outermost first.
  /// - Throws: `.ioFailure` when one cannot be made; those made before it are taken away again.
  static func make(_ path: String) throws(DFMergeError) -> [String] {
    try checkPath(path)
    var missing: [String] = []
    var current = path
    while FileKind.of(current) == nil {
      missing.append(current)
      let parent = Folder.parent(of: current)
      guard parent != current else { break }
      current = parent
    }
    var made: [String] = []
    for folder in missing.reversed() {
      if mkdir(folder, 0o777) == 0 {
        made.append(folder)
      } else if errno != EEXIST {
        let status = errno
        for folder in made.reversed() { rmdir(folder) }
        throw .system("Making the folder", path: folder, status: status)
      }
    }
    guard FileKind.of(path) == .folder else {
      throw DFMergeError(
        .ioFailure, "\(path) is not a folder; choose another path.", context: ["path": path])
    }
    return made
  }

  /// The folder that holds `path`: `"."` for a bare name.
  static func parent(of path: String) -> String {
    // Bytes, not characters: a slash before a combining mark is no character of its own.
    let slash = UInt8(ascii: "/")
    var bytes = path.utf8[...]
    while bytes.count > 1, bytes.last == slash { bytes.removeLast() }
    guard let end = bytes.lastIndex(of: slash) else { return "." }
    let parent = bytes[..<end]
    return parent.isEmpty ? "/" : String(decoding: parent, as: UTF8.self)
  }

  /// `name` inside `folder`.
  static func join(_ folder: String, _ name: String) -> String {
    folder.utf8.last == UInt8(ascii: "/") ? folder + name : folder + "/" + name
  }

  /// Makes renames and removals in `path` survive a loss of power.
  static func synchronize(_ path: String) throws(DFMergeError) {
    let descriptor = retryingInterrupts { open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    guard descriptor >= 0 else { throw .system("Opening the folder", path: path, status: errno) }
    defer { close(descriptor) }
    // Some network and user-space file systems cannot do this for a folder and say EINVAL.
    guard retryingInterrupts({ fsync(descriptor) }) == 0 || errno == EINVAL else {
      throw .system("Synchronizing the folder", path: path, status: errno)
    }
  }

  /// Refuses what is larger than the free space on the disk of an open file or folder: better now
  /// than after hours of work. File systems that report no size at all are believed to have room.
  /// - Parameter path: what needs the space, for the message.
  static func checkSpace(
    _ byteCount: Int, descriptor: Int32, path: String
  ) throws(DFMergeError) {
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

  /// ``checkSpace(_:descriptor:path:)`` for all files that `folder` will be given.
  static func checkSpace(_ byteCount: Int, in folder: String) throws(DFMergeError) {
    let descriptor = retryingInterrupts { open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    guard descriptor >= 0 else {
      throw .system("Opening the folder", path: folder, status: errno)
    }
    defer { close(descriptor) }
    try checkSpace(byteCount, descriptor: descriptor, path: folder)
  }

  /// Removes the file `path`; one that does not exist is no error.
  static func removeFile(_ path: String) throws(DFMergeError) {
    guard unlink(path) == 0 || errno == ENOENT else {
      throw .system("Removing the old file", path: path, status: errno)
    }
  }
}
