import DFMergeCore
import Glibc

/// Tensors that stand under two names, of which a checkpoint may keep one only: an embedding that
/// is the output layer too.
///
/// Two names of a checkpoint are tied when their elements are the same bytes, not all alike. A file may also say
/// so in its metadata, as safetensors' `save_model` does: `{"dropped name": "kept name"}`.
struct TiedNames {
  let reference: any WeightSource

  /// The tensor that `source` keeps under another name than `name`; nil when there is none.
  ///
  /// Cost: nothing for tensors that are there; for one that is missing, a comparison with each
  /// tensor of the reference with the same type and shape, most of which end at the first bytes.
  func alias(of name: String, in source: any WeightSource) -> TensorView? {
    if let kept = source.metadata[name], let view = source.tensor(named: kept) {
      return view
    }
    guard let own = reference.tensor(named: name), TiedNames.isTelling(own) else { return nil }
    for other in reference.tensors where other.name != name && TiedNames.areSame(own, other) {
      if let view = source.tensor(named: other.name) { return view }
    }
    return nil
  }

  /// The name among `known` under which `source` has the elements of `tensor`; nil for none.
  static func twin(
    of tensor: TensorView, in source: any WeightSource, among known: Set<String>
  ) -> String? {
    if let kept = source.metadata[tensor.name], known.contains(kept) { return kept }
    guard isTelling(tensor) else { return nil }
    return source.tensors.first {
      $0.name != tensor.name && known.contains($0.name) && areSame($0, tensor)
    }?.name
  }

  /// Whether equal elements say anything: many a bias is all zeros and yet its own tensor.
  private static func isTelling(_ view: TensorView) -> Bool {
    let width = max(view.dtype.bitWidth / 8, 1)
    guard let start = view.bytes.baseAddress, view.bytes.count > width else { return false }
    // Constant means: the same when moved by one element.
    return memcmp(start, start + width, view.bytes.count - width) != 0
  }

  private static func areSame(_ a: TensorView, _ b: TensorView) -> Bool {
    guard a.dtype == b.dtype, a.shape == b.shape, let first = a.bytes.baseAddress,
      let second = b.bytes.baseAddress
    else { return false }
    return first == second || memcmp(first, second, a.bytes.count) == 0
  }
}
