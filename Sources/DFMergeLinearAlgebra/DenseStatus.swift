import CDFMergeDense
import DFMergeCore
import DFMergeKernels

/// Calls of the C functions, and their results as errors.
enum DenseStatus {
  /// Runs a function with the level of the CPU that kernels use.
  static func status(_ call: (_ level: Int32) -> Int32) -> Int32 {
    call(Int32(CPULevel.current.rawValue))
  }

  /// Throws what a status other than that of success means; `what` was computed.
  static func check(_ what: String, _ status: Int32) throws(DFMergeError) {
    switch Int(status) {
    case DFMD_OK: return
    case DFMD_NO_MEMORY:
      throw DFMergeError(
        .outOfMemory, "There is no memory for a \(what); use fewer threads or a larger machine.")
    case DFMD_NOT_FINITE:
      throw DFMergeError(
        .nonFinite,
        "A \(what) met a NaN, an infinity or a number too large for a double; check the weights.")
    case DFMD_STOPPED: throw DFMergeError(.cancelled, "A \(what) was stopped.")
    default:
      throw DFMergeError(.internalError, "A \(what) did not come to an end; please report it.")
    }
  }
}
