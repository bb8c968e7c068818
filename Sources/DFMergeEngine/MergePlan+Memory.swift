import DFMergeCore

extension MergePlan {
  /// A result is computed from the inputs while it is written, by several threads at once: no
  /// tensor of the target may share a byte with an input or with another tensor of the target,
  /// whatever their names.
  ///
  /// Cost: one sort of the addresses of everything that is read or written.
  /// - Throws: `.invalidArgument` naming the tensors.
  package static func refuseSharedMemory(
    of targets: [MutableTensorView], with sources: [any WeightSource]
  ) throws(DFMergeError) {
    var spans: [Span] = []
    for tensor in targets {
      if let span = Span(UnsafeRawBufferPointer(tensor.bytes), of: tensor.name, source: nil) {
        spans.append(span)
      }
      for (number, source) in sources.enumerated() {
        if let read = source.tensor(named: tensor.name)?.bytes,
          let span = Span(read, of: tensor.name, source: number)
        {
          spans.append(span)
        }
      }
    }
    spans.sort { $0.low < $1.low }
    // Of what begins earlier, the tensor of each sort that reaches furthest.
    var written: Span?
    var lent: Span?
    for span in spans {
      if let written, span.low < written.high {
        throw MergePlan.overlap(of: written, with: span, sources)
      }
      if span.source == nil, let lent, span.low < lent.high {
        throw MergePlan.overlap(of: span, with: lent, sources)
      }
      if span.source == nil {
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
    /// Which input it belongs to; nil for the target.
    let source: Int?

    /// Nil for no bytes.
    init?(_ bytes: UnsafeRawBufferPointer, of name: String, source: Int?) {
      guard let start = bytes.baseAddress, bytes.count > 0 else { return nil }
      low = UInt(bitPattern: start)
      high = low &+ UInt(bytes.count)
      self.name = name
      self.source = source
    }
  }

  private static func overlap(
    of target: Span, with other: Span, _ sources: [any WeightSource]
  ) -> DFMergeError {
    let fact: String
    if let source = other.source, other.name == target.name {
      fact =
        "Tensor '\(other.name)' of \(sources[source].label) is the target's own memory, which the "
        + "merge overwrites; pass a copy."
    } else if let source = other.source {
      fact =
        "Tensor '\(other.name)' of \(sources[source].label) shares memory with tensor "
        + "'\(target.name)' of the target, which the merge overwrites; pass a copy."
    } else {
      fact =
        "Tensors '\(target.name)' and '\(other.name)' of the target share memory, so that each "
        + "would overwrite the other; leave one of them out."
    }
    return DFMergeError(.invalidArgument, fact, context: ["tensor": target.name])
  }
}
