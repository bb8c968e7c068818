import DFMergeCore
import DFMergeIO

/// Named tensors behind a handle: a checkpoint on disk, or tensors that the host lends one by one.
final class WeightsBox: HandleObject {
  static let handleName = "dfm_weights"

  private enum Content {
    case checkpoint(any WeightSource)
    case lent([Lent])
  }

  /// A tensor of the host's; read-only memory has no mutable view.
  private struct Lent {
    let view: TensorView
    let mutable: MutableTensorView?
  }

  private var content: Content
  let label: String

  /// An empty set, to be filled with `add`.
  init(label: String) {
    content = .lent([])
    self.label = label
  }

  init(_ source: any WeightSource) {
    content = .checkpoint(source)
    label = source.label
  }

  /// The same tensors under another label.
  init(sharing other: WeightsBox, label: String) {
    content = other.content
    self.label = label
  }

  func add(
    name: String, dtype: DType, shape: Shape, bytes: UnsafeMutableRawBufferPointer, writable: Bool,
    owner: AnyObject? = nil
  ) throws(DFMergeError) {
    guard case .lent(var tensors) = content else {
      throw DFMergeError(
        .invalidState,
        "'\(label)' was opened from a file and takes no more tensors; make an empty dfm_weights.")
    }
    let lent = Lent(
      view: try TensorView(
        name: name, dtype: dtype, shape: shape, bytes: UnsafeRawBufferPointer(bytes),
        owner: owner),
      mutable: writable
        ? try MutableTensorView(
          name: name, dtype: dtype, shape: shape, bytes: bytes, owner: owner) : nil)
    // Given up first, so that the array is grown in place: a model may have 100,000 tensors.
    content = .lent([])
    tensors.append(lent)
    content = .lent(tensors)
  }

  /// The tensors as input.
  func source() throws(DFMergeError) -> any WeightSource {
    switch content {
    case .checkpoint(let source):
      return label == source.label ? source : LabelledWeights(source, label: label)
    case .lent(let tensors): return try NamedWeights(tensors.map(\.view), label: label)
    }
  }

  /// The tensors as output.
  /// - Throws: `.invalidArgument` unless every tensor is the host's and writable.
  func target() throws(DFMergeError) -> [MutableTensorView] {
    guard case .lent(let tensors) = content else {
      throw DFMergeError(
        .invalidArgument,
        "'\(label)' is a file, which cannot be a target; register the memory to be written.")
    }
    // Refuses a name that was added twice.
    _ = try source()
    var views: [MutableTensorView] = []
    for tensor in tensors {
      guard let view = tensor.mutable else {
        throw DFMergeError(
          .invalidArgument,
          "Tensor '\(tensor.view.name)' of the target was added as read-only; add it as writable.",
          context: ["tensor": tensor.view.name])
      }
      views.append(view)
    }
    return views
  }

  /// A tensor for others to share, whose memory the library keeps alive.
  /// - Throws: `.missingTensor`; `.invalidState` for memory that the host has lent.
  func exported(_ name: String) throws(DFMergeError) -> DLPackExport.Tensor {
    let source = try source()
    guard let tensor = source.tensor(named: name) else {
      throw DFMergeError(
        .missingTensor, "There is no tensor '\(name)' in \(label).", context: ["tensor": name])
    }
    let isLent = if case .lent = content { true } else { false }
    guard !isLent || tensor.owner != nil else {
      throw DFMergeError(
        .invalidState,
        "Tensor '\(name)' of \(label) is the host's own memory, which the library cannot keep "
          + "alive; hand it out yourself.", context: ["tensor": name])
    }
    return DLPackExport.Tensor(
      dtype: tensor.dtype, shape: tensor.shape.dimensions,
      address: UnsafeMutableRawPointer(mutating: tensor.bytes.baseAddress), isReadOnly: !isLent,
      owner: tensor.owner ?? source)
  }
}
