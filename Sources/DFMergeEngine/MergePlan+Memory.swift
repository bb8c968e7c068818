import DFMergeCore

extension MergePlan {
  /// A result is computed from the inputs while it is written, by several threads at once: no
  /// tensor of the target may share a byte with an input or with another tensor of the target,
  /// whatever their names. Inputs are tensors with the name of one of the target, and those that
  /// are read in place of one (see ``TiedNames``).
  ///
  /// Cost: one sort of the addresses of everything that is read or written.
  /// - Throws: `.invalidArgument` naming the tensors.
  package func refuseSharedMemory(
    of targets: [MutableTensorView], with sources: [any WeightSource]
  ) throws(DFMergeError) {
    var spans: [Span] = []
    func add(_ bytes: UnsafeRawBufferPointer, _ name: String, isTarget: Bool = false) {
      if let span = Span(bytes, of: name, isTarget: isTarget) { spans.append(span) }
    }
    for tensor in targets {
      add(UnsafeRawBufferPointer(tensor.bytes), tensor.name, isTarget: true)
      for source in sources {
        if let read = source.tensor(named: tensor.name)?.bytes { add(read, tensor.name) }
      }
    }
    for entry in entries {
      for view in entry.operands where view.name != entry.output.name { add(view.bytes, view.name) }
      for view in entry.bits { add(view.bytes, view.name) }
    }
    spans.sort { $0.low < $1.low }
    // Of what begins earlier, the tensor of each sort that reaches furthest.
    var written: Span?
    var lent: Span?
    for span in spans {
      if let written, span.low < written.high {
        throw MergePlan.overlap(of: written, with: span, sources)
      }
      if span.isTarget, let lent, span.low < lent.high {
        throw MergePlan.overlap(of: span, with: lent, sources)
      }
      if span.isTarget {
        written = span
      } else if span.high > (lent?.high ?? 0) {
        lent = span
      }
    }
  }

  /// The addresses `low ..< high` of a tensor with elements.
  private struct Span {
    let low: UInt
    let high: UInt
    let name: String
    /// Whether it is to be written, not read.
    let isTarget: Bool

    /// Nil for no bytes.
    init?(_ bytes: UnsafeRawBufferPointer, of name: String, isTarget: Bool) {
      guard let start = bytes.baseAddress, bytes.count > 0 else { return nil }
      low = UInt(bitPattern: start)
      high = low &+ UInt(bytes.count)
      self.name = name
      self.isTarget = isTarget
    }
  }

  private static func overlap(
    of target: Span, with other: Span, _ sources: [any WeightSource]
  ) -> DFMergeError {
    let owner = sources.first {
      $0.tensor(named: other.name).map { UInt(bitPattern: $0.bytes.baseAddress) } == other.low
    }
    let label = owner?.label ?? "an input"
    let fact: String
    if !other.isTarget, other.name == target.name {
      fact =
        "Tensor '\(other.name)' of \(label) is the target's own memory, which the "
        + "merge overwrites; pass a copy."
    } else if !other.isTarget {
      fact =
        "Tensor '\(other.name)' of \(label) shares memory with tensor "
        + "'\(target.name)' of the target, which the merge overwrites; pass a copy."
    } else {
      fact =
        "Tensors '\(target.name)' and '\(other.name)' of the target share memory, so that each "
        + "would overwrite the other; leave one of them out."
    }
    return DFMergeError(.invalidArgument, fact, context: ["tensor": target.name])
  }
}
