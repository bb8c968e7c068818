import DFMergeCore
import Glibc

/// A folder for what is needed for a while only, taken away with this object.
final class ScratchFolder {
  let path: String

  /// Makes a new one beside `path`, on the same disk; folders above it that are missing as well.
  /// - Throws: `.ioFailure`.
  init(beside path: String) throws(DFMergeError) {
    let parent = ScratchFolder.parent(of: path)
    try ScratchFolder.make(parent)
    var template = Array((parent + "/.dfmerge-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else {
      throw ScratchFolder.failure("Making a folder in", parent)
    }
    self.path = String(
      decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { ScratchFolder.remove(path) }

  /// Makes a folder and those above it.
  static func make(_ path: String) throws(DFMergeError) {
    guard access(path, F_OK) != 0 else { return }
    let parent = parent(of: path)
    if parent != path { try make(parent) }
    guard mkdir(path, 0o777) == 0 || errno == EEXIST else {
      throw failure("Making the folder", path)
    }
  }

  /// Takes away a file, or a folder with what is in it. Links are not followed; what cannot be
  /// removed stays.
  static func remove(_ path: String) {
    guard unlink(path) != 0, let stream = opendir(path) else { return }
    var names: [String] = []
    while let entry = readdir(stream) {
      // In place: copying the whole field would read past a short last entry.
      guard let offset = MemoryLayout<dirent>.offset(of: \.d_name) else { break }
      let name = UnsafeRawPointer(entry).advanced(by: offset)
      names.append(String(cString: name.assumingMemoryBound(to: CChar.self)))
    }
    closedir(stream)
    for name in names where name != "." && name != ".." { remove(path + "/" + name) }
    rmdir(path)
  }

  static func parent(of path: String) -> String {
    var text = path[...]
    while text.count > 1, text.hasSuffix("/") { text = text.dropLast() }
    guard let slash = text.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == text.startIndex ? "/" : String(text[..<slash])
  }

  private static func failure(_ action: String, _ path: String) -> DFMergeError {
    DFMergeError(
      .ioFailure,
      "\(action) \(path) failed: \(String(cString: strerror(errno))); check the path and its "
        + "permissions.", context: ["path": path])
  }
}
