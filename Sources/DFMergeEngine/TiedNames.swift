import DFMergeCore

/// Tensors that stand under two names, of which a checkpoint may keep one only: an embedding that
/// is the output layer too.
///
/// Two names of a checkpoint are tied when their elements are the same bytes, not all alike. A file
/// may also say so in its metadata, as safetensors' `save_model` does:
/// `{"dropped name": "kept name"}`.
final class TiedNames {
  private let reference: any WeightSource
  private var lookups: [ObjectIdentifier: TwinLookup] = [:]
  private let reader = PiecewiseReader()

  init(reference: any WeightSource) { self.reference = reference }

  /// The tensor that `source` keeps under another name than `name`; nil when there is none.
  ///
  /// Cost: nothing for tensors that are there; for one that is missing, the first bytes of the
  /// reference's tensors with the same type and shape, read once for all that are missing.
  func alias(of name: String, in source: any WeightSource) -> TensorView? {
    if let kept = source.metadata[name], let view = source.tensor(named: kept) {
      return view
    }
    guard let own = reference.tensor(named: name) else { return nil }
    return twin(of: own, in: reference) { source.tensor(named: $0.name) != nil }
      .flatMap { source.tensor(named: $0.name) }
  }

  /// The name among `known` under which `source` has the elements of `tensor`; nil for none.
  func twin(
    of tensor: TensorView, in source: any WeightSource, among known: Set<String>
  ) -> String? {
    if let kept = source.metadata[tensor.name], known.contains(kept) { return kept }
    return twin(of: tensor, in: source) { known.contains($0.name) }?.name
  }

  /// The first tensor of `source` under another name that `isWanted` and has the elements of
  /// `tensor`, one of its own.
  private func twin(
    of tensor: TensorView, in source: any WeightSource, where isWanted: (TensorView) -> Bool
  ) -> TensorView? {
    let key = ObjectIdentifier(source)
    let lookup = lookups[key] ?? TwinLookup(source)
    lookups[key] = lookup
    let candidates = lookup.candidates(for: tensor, reader)
    // Equal elements say nothing where all are alike: many a bias is all zeros and yet its own
    // tensor.
    guard candidates.count > 1, !reader.isConstant(tensor) else { return nil }
    return candidates.first {
      $0.name != tensor.name && isWanted($0) && reader.areSame($0, tensor)
    }
  }
}

/// The tensors of one source by type, shape and first bytes.
private final class TwinLookup {
  private struct Kind: Hashable {
    let dtype: DType
    let shape: Shape
  }

  private var kinds: [Kind: [TensorView]] = [:]
  /// Of the kinds that were asked for, by the checksum of their first bytes.
  private var heads: [Kind: [UInt32: [TensorView]]] = [:]

  init(_ source: any WeightSource) {
    for view in source.tensors {
      kinds[Kind(dtype: view.dtype, shape: view.shape), default: []].append(view)
    }
  }

  /// Those that begin like `tensor`, itself among them, in the order of the source.
  func candidates(for tensor: TensorView, _ reader: PiecewiseReader) -> [TensorView] {
    let kind = Kind(dtype: tensor.dtype, shape: tensor.shape)
    guard let all = kinds[kind], all.count > 1, tensor.byteCount > 0 else { return [] }
    var groups = heads[kind] ?? [:]
    if groups.isEmpty {
      for view in all {
        guard let head = reader.headChecksum(view) else { continue }
        groups[head, default: []].append(view)
      }
      heads[kind] = groups
    }
    return reader.headChecksum(tensor).flatMap { groups[$0] } ?? []
  }
}
