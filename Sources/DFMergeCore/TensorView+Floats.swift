extension TensorView {
  /// An F32 tensor with a copy of `values`, which it owns.
  /// - Parameters:
  ///   - shape: sizes, outermost axis first; without it one axis of all values.
  ///   - values: the elements, row by row.
  /// - Throws: `.invalidArgument` for a shape that does not have as many elements, `.outOfMemory`.
  public init(name: String, shape: [Int]? = nil, values: [Float]) throws(DFMergeError) {
    self.init(try MutableTensorView(name: name, shape: shape, values: values))
  }

  /// The same bytes, to read: for writing a search's target to a file, for example.
  public init(_ tensor: MutableTensorView) {
    name = tensor.name
    dtype = tensor.dtype
    shape = tensor.shape
    bytes = UnsafeRawBufferPointer(tensor.bytes)
    owner = tensor.owner
    stored = nil
  }

  /// A copy of the elements, row by row; those of F64 rounded to the nearest.
  /// - Throws: `.dtypeMismatch` for another type than F64, F32, F16 or BF16; `.ioFailure` for a
  ///   file that cannot be read; `.outOfMemory`.
  public func floats() throws(DFMergeError) -> [Float] {
    guard dtype.isMergeable else {
      throw DFMergeError(
        .dtypeMismatch,
        "Tensor '\(name)' is \(dtype.name); only F64, F32, F16 and BF16 are read as numbers.",
        context: ["tensor": name])
    }
    var source = bytes
    // Read piece by piece where there is no memory to look at; kept until the numbers are made.
    let copy = try bytes.count == byteCount ? nil : AlignedBuffer(byteCount: byteCount)
    if let copy, let stored {
      try stored.storage.read(into: copy.bytes, at: stored.offset)
      source = UnsafeRawBufferPointer(copy.bytes)
    }
    return withExtendedLifetime((copy, owner)) { TensorView.floats(source, dtype) }
  }

  /// A copy of the elements as doubles, row by row.
  /// - Throws: as ``floats()``.
  package func doubles() throws(DFMergeError) -> [Double] {
    guard dtype == .f64 else { return try floats().map(Double.init) }
    let copy = try AlignedBuffer(byteCount: byteCount)
    if bytes.count == byteCount {
      copy.bytes.copyMemory(from: bytes)
    } else if let stored {
      try stored.storage.read(into: copy.bytes, at: stored.offset)
    }
    return withExtendedLifetime((copy, owner)) {
      Array(UnsafeRawBufferPointer(copy.bytes).bindMemory(to: Double.self))
    }
  }

  private static func floats(_ bytes: UnsafeRawBufferPointer, _ dtype: DType) -> [Float] {
    let step = dtype.bitWidth / 8
    return stride(from: 0, to: bytes.count - bytes.count % step, by: step).map { offset in
      switch dtype {
      case .f64: Float(bytes.loadUnaligned(fromByteOffset: offset, as: Double.self))
      case .f16: half(bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
      case .bf16:
        Float(
          bitPattern: UInt32(bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self)) << 16)
      default: bytes.loadUnaligned(fromByteOffset: offset, as: Float.self)
      }
    }
  }

  /// The value of an F16, by its bits: not every architecture has the type.
  private static func half(_ bits: UInt16) -> Float {
    let magnitude = UInt32(bits & 0x7fff)
    let sign = UInt32(bits & 0x8000) << 16
    // Exponents in place, the value is 2^-112 of what it means; a product puts that right, also for
    // numbers below the normal range. NaN and infinity keep the highest exponent.
    let scaled =
      Float(bitPattern: magnitude << 13) * Float(sign: .plus, exponent: 112, significand: 1)
    let value = magnitude >= 0x7c00 ? Float(bitPattern: magnitude << 13 | 0x7f80_0000) : scaled
    return Float(bitPattern: value.bitPattern | sign)
  }
}

extension MutableTensorView {
  /// An F32 tensor in memory of its own, with a copy of `values`: a model's parameters, say.
  ///
  /// The memory lives as long as a view of it, whichever copies of this value there are.
  /// - Parameters:
  ///   - shape: sizes, outermost axis first; without it one axis of all values.
  ///   - values: the elements, row by row.
  /// - Throws: `.invalidArgument` for a shape that does not have as many elements, `.outOfMemory`.
  public init(name: String, shape: [Int]? = nil, values: [Float]) throws(DFMergeError) {
    let memory = try AlignedBuffer(byteCount: values.count * 4)
    values.withUnsafeBytes { memory.bytes.copyMemory(from: $0) }
    try self.init(
      name: name, dtype: .f32, shape: try Shape(shape ?? [values.count]), bytes: memory.bytes,
      owner: memory)
  }

  /// The elements of an F32 tensor themselves, row by row, to read and write in place.
  ///
  /// Valid as long as the tensor's memory is; see ``owner``.
  /// - Throws: `.dtypeMismatch` for another type, `.invalidArgument` for an address that is no
  ///   multiple of 4.
  public func floats() throws(DFMergeError) -> UnsafeMutableBufferPointer<Float> {
    guard dtype == .f32 else {
      throw DFMergeError(
        .dtypeMismatch, "Tensor '\(name)' is \(dtype.name); only the elements of F32 are floats.",
        context: ["tensor": name])
    }
    guard UInt(bitPattern: bytes.baseAddress) % 4 == 0 else {
      throw DFMergeError(
        .invalidArgument,
        "The memory of tensor '\(name)' is not aligned to 4 bytes; use its bytes instead.",
        context: ["tensor": name])
    }
    return bytes.bindMemory(to: Float.self)
  }
}
