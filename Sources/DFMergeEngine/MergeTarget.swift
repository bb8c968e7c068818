import DFMergeCore
import DFMergeIO

/// Where a merge writes.
package enum MergeTarget: Sendable {
  /// The host's memory: one tensor per output of the plan, in their order.
  case memory([MutableTensorView])
  /// A file or a folder; the number says which of its tensors an output is, nil for one that is
  /// left out.
  case sink(any TensorSink, tensors: [Int?])
}

/// A file or a folder that takes its tensors' bytes in pieces, in any order, from any thread.
package protocol TensorSink: AnyObject, Sendable {
  /// Writes bytes of the tensor with number `tensor`, from byte `offset` of it on.
  /// - Throws: `.ioFailure`.
  func write(
    _ bytes: UnsafeRawBufferPointer, tensor: Int, at offset: Int
  ) throws(DFMergeError)
}
