import Glibc

/// Standard output and standard error, without buffers: what is written is there when a later call
/// fails, and a failure is known at once.
enum StandardStream: Int32 {
  case output = 1
  case error = 2

  /// Writes all of `text`.
  /// - Returns: false where the system refuses; `errno` says why.
  @discardableResult
  func write(_ text: String) -> Bool {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.write(rawValue, $0.baseAddress, $0.count) }
      if count > 0 {
        bytes = bytes.dropFirst(count)
      } else if errno != EINTR {
        return false
      }
    }
    return true
  }
}
