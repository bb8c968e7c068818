extension TensorView {
  /// A tensor that can only be read piece by piece: `bytes` is empty whatever the shape.
  ///
  /// For merges from files to files, which must not take address space for whole models.
  /// - Throws: `.invalidArgument` for a shape whose size overflows 64 bits or does not end on a
  ///   whole byte.
  package init(
    name: String, dtype: DType, shape: Shape, stored: StoredBytes
  ) throws(DFMergeError) {
    guard dtype.byteCount(elements: shape.elementCount) != nil else {
      throw DFMergeError(
        .invalidArgument,
        "Tensor '\(name)' is \(dtype.name) \(shape), whose size overflows 64 bits or does not end "
          + "on a whole byte; change its shape or dtype.",
        context: ["tensor": name])
    }
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.stored = stored
    bytes = UnsafeRawBufferPointer(start: nil, count: 0)
    owner = stored.storage
  }

  /// The bytes that the elements take, in memory or stored.
  public var byteCount: Int { dtype.byteCount(elements: shape.elementCount) ?? bytes.count }
}
