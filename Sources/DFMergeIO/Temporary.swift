import DFMergeCore

extension SafetensorsWriter: @unchecked Sendable {
  package func write(_ bytes: UnsafeRawBufferPointer, tensor: Int, at offset: Int)
    throws(DFMergeError)
  {}
}
extension CheckpointWriter: @unchecked Sendable {
  package func write(_ bytes: UnsafeRawBufferPointer, tensor: Int, at offset: Int)
    throws(DFMergeError)
  {}
}
