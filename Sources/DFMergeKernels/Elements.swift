import DFMergeCore

/// Elements to read: a typed pointer whose element type is known at run time only.
///
/// The address may be unaligned. Whoever made it keeps the memory alive while a kernel runs.
package struct Elements: @unchecked Sendable {
  // Sendable: the fields are immutable and the memory is only read.
  package let pointer: UnsafeRawPointer
  /// F64, F32, F16 or BF16: the types that `DType.isMergeable` names.
  package let dtype: DType

  /// - Precondition: `dtype.isMergeable`. Plans copy every other type before a kernel sees it.
  @inline(__always)
  package init(pointer: UnsafeRawPointer, dtype: DType) {
    precondition(dtype.isMergeable, "Kernels take F64, F32, F16 and BF16 only.")
    self.pointer = pointer
    self.dtype = dtype
  }

  /// The elements from number `elements` on.
  @inline(__always)
  package func advanced(by elements: Int) -> Elements {
    Elements(pointer: pointer + elements &* (dtype.bitWidth >> 3), dtype: dtype)
  }
}

/// Elements to write, see ``Elements``. They never share memory with a kernel's inputs.
package struct MutableElements: @unchecked Sendable {
  // Sendable: the fields are immutable; callers give each thread a range of its own to write.
  package let pointer: UnsafeMutableRawPointer
  package let dtype: DType
  /// Whether kernels may write past the caches: right for results that are together larger than a
  /// cache, for then nobody finds them there and the caches keep what is read. Changes no result.
  package let bypassesCache: Bool

  /// - Precondition: `dtype.isMergeable`.
  @inline(__always)
  package init(pointer: UnsafeMutableRawPointer, dtype: DType, bypassesCache: Bool = false) {
    precondition(dtype.isMergeable, "Kernels take F64, F32, F16 and BF16 only.")
    self.pointer = pointer
    self.dtype = dtype
    self.bypassesCache = bypassesCache
  }

  /// The elements from number `elements` on.
  @inline(__always)
  package func advanced(by elements: Int) -> MutableElements {
    MutableElements(
      pointer: pointer + elements &* (dtype.bitWidth >> 3), dtype: dtype,
      bypassesCache: bypassesCache)
  }

  /// The same elements, to read.
  @inline(__always)
  package var readable: Elements { Elements(pointer: UnsafeRawPointer(pointer), dtype: dtype) }
}

/// Fisher values between two nodes of a grid: `F = lower + fraction * (upper - lower)`.
///
/// With `fraction == 0` or without `upper`, `F = lower` and `upper` is not read.
package struct FisherElements: Sendable {
  package let lower: Elements
  package let upper: Elements?
  package let fraction: Double

  @inline(__always)
  package init(lower: Elements, upper: Elements? = nil, fraction: Double = 0) {
    self.lower = lower
    self.upper = fraction == 0 ? nil : upper
    self.fraction = fraction
  }

  /// The values from number `elements` on.
  @inline(__always)
  package func advanced(by elements: Int) -> FisherElements {
    FisherElements(
      lower: lower.advanced(by: elements), upper: upper?.advanced(by: elements),
      fraction: fraction)
  }
}
