import DFMergeCore
import Glibc

/// `call()` again for as long as a signal interrupts it.
func retryingInterrupts<Result: SignedInteger>(_ call: () -> Result) -> Result {
  while true {
    let result = call()
    if result == -1, errno == EINTR { continue }
    return result
  }
}

/// `text` between quotation marks for a message. Names come from files and may be anything, so
/// control characters are escaped and a long text is clipped.
func quoted(_ text: String) -> String {
  let limit = 200
  var clipped = ""
  for (position, scalar) in text.unicodeScalars.enumerated() {
    guard position < limit else { return "'\(clipped)...'" }
    let isControl = scalar.value < 0x20 || scalar.value == 0x7F
    clipped += isControl ? scalar.escaped(asASCII: true) : String(scalar)
  }
  return "'\(clipped)'"
}

/// The first names of a list for a message, each quoted, and how many more there are.
func quotedList(_ names: [String]) -> String {
  let shown = 8
  let list = names.prefix(shown).map(quoted).joined(separator: ", ")
  return names.count > shown ? "\(list) and \(names.count - shown) more" : list
}

extension DFMergeError {
  /// The failure of a system call: `action` is what failed ("Opening", "Writing"), `status` the
  /// value of `errno`. `.fileNotFound` for a missing file or folder, `.outOfMemory` for a lack of
  /// memory, `.ioFailure` for anything else.
  static func system(_ action: String, path: String, status: Int32) -> DFMergeError {
    let code: Code
    let remedy: String
    switch status {
    case ENOENT, ENOTDIR:
      (code, remedy) = (.fileNotFound, "check the path and that its folder exists")
    case ENOMEM: (code, remedy) = (.outOfMemory, "free memory and try again")
    case ENOSPC, EDQUOT: (code, remedy) = (.ioFailure, "free space or choose another folder")
    case EACCES, EPERM, EROFS: (code, remedy) = (.ioFailure, "check the permissions")
    case EMFILE, ENFILE: (code, remedy) = (.ioFailure, "raise the limit of open files (ulimit -n)")
    case EFAULT:
      (code, remedy) = (
        .ioFailure, "the data to write has gone: was an input file cut short while it was in use?"
      )
    default: (code, remedy) = (.ioFailure, "check the path and the disk")
    }
    let reason = String(cString: strerror(status))
    return DFMergeError(
      code, "\(action) \(path) failed: \(reason); \(remedy).", context: ["path": path])
  }
}

/// - Throws: `.invalidArgument` for a path that the system would cut or misread.
package func checkPath(_ path: String) throws(DFMergeError) {
  guard !path.isEmpty, !path.utf8.contains(0) else {
    throw DFMergeError(
      .invalidArgument, "The path \(quoted(path)) is empty or holds a NUL; pass a file path.",
      context: ["path": path])
  }
}

/// What stands at a path.
enum FileKind {
  case file, folder, symbolicLink, other

  /// The kind of what `path` names; nil when there is nothing, or nothing that can be looked at.
  /// - Parameter followingLinks: whether a symbolic link counts as what it points to.
  static func of(_ path: String, followingLinks: Bool = true) -> FileKind? {
    status(path, followingLinks: followingLinks).map { FileKind(mode: $0.st_mode) }
  }

  static func status(_ path: String, followingLinks: Bool = true) -> stat? {
    var status = stat()
    let result = followingLinks ? stat(path, &status) : lstat(path, &status)
    return result == 0 ? status : nil
  }

  init(mode: mode_t) {
    switch mode & S_IFMT {
    case S_IFREG: self = .file
    case S_IFDIR: self = .folder
    case S_IFLNK: self = .symbolicLink
    default: self = .other
    }
  }
}

/// A file or folder itself, as opposed to one of its names.
struct FileIdentity: Equatable {
  private let device: dev_t
  private let number: ino_t

  init(_ status: stat) {
    device = status.st_dev
    number = status.st_ino
  }

  /// What `path` names at this moment; nil when there is nothing.
  static func of(_ path: String) -> FileIdentity? {
    FileKind.status(path).map(FileIdentity.init)
  }
}
