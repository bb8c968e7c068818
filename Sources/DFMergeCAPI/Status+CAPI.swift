import CDFMergeShims
import DFMergeCore

/// The message of this thread's last call that returned a status.
///
/// It states the fact with the offending value, then the remedy. Every such call clears it on
/// entry, so it is empty after success and never empty after a failure.
///
/// - Returns: [borrowed] UTF-8 text, valid until the next call on the same thread; never null.
@_cdecl("dfm_last_error_message")
public func dfm_last_error_message() -> UnsafePointer<CChar>? {
  ErrorMessage.pointer
}

/// The name of a status number.
///
/// - Parameter status: [in] A number that a call returned.
/// - Returns: [borrowed] "ok" for 0, a snake-case name such as "shape_mismatch" for each
///   DFM_ERROR_*, "unknown" for any other number; valid until the process ends, never null.
@_cdecl("dfm_status_name")
public func dfm_status_name(_ status: dfm_status) -> UnsafePointer<CChar>? {
  (statusNames[status] ?? unknownStatusName).pointer
}

private let unknownStatusName = StaticText("unknown")

private let statusNames: [dfm_status: StaticText] = {
  var names = [dfm_status(0): StaticText("ok")]
  for (name, code) in DFMergeError.Code.all { names[code.rawValue] = StaticText(name) }
  return names
}()

/// Runs the body of a C function: the only place that turns an error into a status and a message.
///
/// The message is cleared on entry, and again at the end of a success, because calls from inside a
/// callback may have left theirs. A failure keeps the error's message for
/// `dfm_last_error_message`, on the thread that made the call.
package func guarded(_ body: () throws(DFMergeError) -> Void) -> dfm_status {
  ErrorMessage.clear()
  do throws(DFMergeError) {
    try body()
    ErrorMessage.clear()
    return 0
  } catch {
    ErrorMessage.set(error.message.isEmpty ? error.description : error.message)
    return error.code.rawValue
  }
}
