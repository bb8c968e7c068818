import CDFMergeShims
import DFMergeCore
import Synchronization

/// A handle of type dfm_cancel.
public typealias DFMCancelRef = OpaquePointer

/// A stop flag.
final class CancelBox: HandleObject, Sendable {
  static let handleName = "dfm_cancel"
  private let raised = Atomic<Bool>(false)

  var isRaised: Bool { raised.load(ordering: .relaxed) }
  func raise(_ value: Bool) { raised.store(value, ordering: .relaxed) }

  /// The flag behind an optional handle.
  static func optional(_ handle: DFMCancelRef?) throws(DFMergeError) -> CancelBox? {
    handle == nil ? nil : try Handle.get(handle, as: CancelBox.self, argument: "cancel")
  }
}

/// Makes a stop flag, lowered.
///
/// - Parameter out: [out] [owned] The new handle; free it with dfm_cancel_free.
/// - Returns: DFM_OK, or DFM_ERROR_NULL_POINTER.
@_cdecl("dfm_cancel_create")
public func dfm_cancel_create(_ out: UnsafeMutablePointer<DFMCancelRef?>?) -> dfm_status {
  guarded { () throws(DFMergeError) in
    try required(out, "out").pointee = Handle.make(CancelBox())
  }
}

/// Raises a stop flag: calls that were given it end soon with DFM_ERROR_CANCELLED.
///
/// The one function that may be called from any thread while another thread uses the handle; so a
/// language runtime that runs its handlers between instructions of its own, as Python does, may call
/// it from one. NOT from a C signal handler: it takes a lock that the interrupted code may hold. Set
/// a volatile sig_atomic_t there and look at it in a progress callback, or wait for the signal with
/// sigwait on a thread of its own and call it from that.
///
/// - Parameter cancel: [in] [borrowed] The flag.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER or DFM_ERROR_WRONG_HANDLE.
@_cdecl("dfm_cancel_request")
public func dfm_cancel_request(_ cancel: DFMCancelRef?) -> dfm_status {
  guarded { () throws(DFMergeError) in
    try Handle.get(cancel, as: CancelBox.self, argument: "cancel").raise(true)
  }
}

/// Lowers a stop flag, for another run.
///
/// - Parameter cancel: [in] [borrowed] The flag.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER or DFM_ERROR_WRONG_HANDLE.
@_cdecl("dfm_cancel_reset")
public func dfm_cancel_reset(_ cancel: DFMCancelRef?) -> dfm_status {
  guarded { () throws(DFMergeError) in
    try Handle.get(cancel, as: CancelBox.self, argument: "cancel").raise(false)
  }
}

/// Frees a stop flag. Calls that were given it keep their own hold on it.
///
/// - Parameter cancel: [in] [owned] [nullable] The flag; NULL and handles already freed are
///   ignored.
@_cdecl("dfm_cancel_free")
public func dfm_cancel_free(_ cancel: DFMCancelRef?) {
  Handle.free(cancel, as: CancelBox.self)
}
