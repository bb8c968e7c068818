import DFMergeCore

/// What is known of a tensor before its elements: name, dtype and shape.
public struct TensorSpec: Hashable, Sendable {
  public let name: String
  public let dtype: DType
  public let shape: Shape
  /// The bytes that the elements take.
  public let byteCount: Int

  /// - Throws: `.invalidArgument` when the size overflows 64 bits, or the elements of a sub-byte
  ///   dtype do not end on a whole byte.
  public init(name: String, dtype: DType, shape: Shape) throws(DFMergeError) {
    guard let byteCount = dtype.byteCount(elements: shape.elementCount) else {
      throw DFMergeError(
        .invalidArgument,
        "Tensor \(quoted(name)) is \(dtype.name) \(shape), whose size overflows 64 bits or does "
          + "not end on a whole byte; change its shape or dtype.",
        context: ["tensor": name])
    }
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.byteCount = byteCount
  }

  /// The name, dtype and shape of `tensor`.
  public init(_ tensor: TensorView) {
    name = tensor.name
    dtype = tensor.dtype
    shape = tensor.shape
    byteCount = tensor.byteCount
  }
}
