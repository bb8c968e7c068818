import DFMergeCore

/// A tensor with the given elements, in memory of its own.
func tensor(
  _ name: String, _ shape: [Int], _ values: [Float], dtype: DType = .f32
) throws -> TensorView {
  let elements = dtype == .f32 ? values.count * 4 : values.count * dtype.bitWidth / 8
  let buffer = try AlignedBuffer(byteCount: elements)
  if dtype == .f32 {
    values.withUnsafeBytes { buffer.bytes.copyMemory(from: $0) }
  }
  return try TensorView(
    name: name, dtype: dtype, shape: try Shape(shape),
    bytes: UnsafeRawBufferPointer(buffer.bytes), owner: buffer)
}

/// `count` different numbers.
func ramp(_ count: Int, from start: Float = 0, by step: Float = 1) -> [Float] {
  (0..<count).map { start + step * Float($0) }
}

func weights(_ label: String, _ tensors: [TensorView]) throws -> NamedWeights {
  try NamedWeights(tensors, label: label)
}

/// Memory like `views`, and the views to write it.
func target(like views: [TensorView], dtype: DType? = nil) throws -> [MutableTensorView] {
  try views.map { view in
    let type = dtype ?? view.dtype
    let buffer = try AlignedBuffer(byteCount: view.shape.elementCount * type.bitWidth / 8)
    return try MutableTensorView(
      name: view.name, dtype: type, shape: view.shape, bytes: buffer.bytes, owner: buffer)
  }
}

func floats(_ view: MutableTensorView) -> [Float] {
  Array(view.bytes.bindMemory(to: Float.self))
}

func floats(_ view: TensorView) -> [Float] {
  (0..<view.shape.elementCount).map {
    view.bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self)
  }
}

extension JSONValue {
  /// An object of words.
  static func words(_ members: [String: String]) -> JSONValue {
    .object(members.mapValues(JSONValue.string))
  }
}
