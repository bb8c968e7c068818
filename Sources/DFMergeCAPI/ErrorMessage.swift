import DFMergeCore
import Glibc

/// The message of the last failing call, one per operating-system thread.
///
/// Swift has no thread-local variables, so the text lives under a POSIX key; the key's destructor
/// frees it when the thread ends.
enum ErrorMessage {
  // Nil when the process has used up its keys: messages are lost then, status numbers are not.
  private static let key: pthread_key_t? = {
    var key = pthread_key_t()
    return pthread_key_create(&key, { Glibc.free($0) }) == 0 ? key : nil
  }()

  /// The text; empty when the last call succeeded. Valid until this thread's next call.
  static var pointer: UnsafePointer<CChar> {
    guard let key, let text = pthread_getspecific(key) else { return StaticText.empty.pointer }
    return UnsafePointer(text.assumingMemoryBound(to: CChar.self))
  }

  static func clear() { replace(with: nil) }

  /// Keeps `message`, in which a zero byte is shown as `\0` because it would end a C string.
  static func set(_ message: String) {
    let text =
      message.utf8.contains(0)
      ? message.split(separator: "\0", omittingEmptySubsequences: false).joined(separator: "\\0")
      : message
    replace(with: strdup(text))
  }

  private static func replace(with text: UnsafeMutablePointer<CChar>?) {
    guard let key else {
      Glibc.free(text)
      return
    }
    let previous = pthread_getspecific(key)
    guard text != nil || previous != nil else { return }
    guard pthread_setspecific(key, text) == 0 else {
      Glibc.free(text)
      return
    }
    Glibc.free(previous)
  }
}
