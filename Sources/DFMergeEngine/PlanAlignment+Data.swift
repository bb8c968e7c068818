import DFMergeCore

// What comes with each model, Fisher values or Gram matrices, beyond what the outputs use.
extension PlanAlignment {
  /// Values that are given go by tensors' names. Where no name of a model's fits, the methods would
  /// give what they give without any, a plain mean, and nobody would know: that is refused. Where
  /// some fit none, a note says so.
  ///
  /// A name fits where the reference or a model has a tensor of that name, whether it is merged or
  /// not, or has dropped it as the second name of another one.
  ///
  /// Cost: a look-up per name and source.
  mutating func noteUnusedData() {
    // Where nothing is merged, or vectors alone, which have no Gram matrices, none can be asked for.
    let isWanted = entries.contains {
      $0.mergedCount > 0 && (!hasGrams || $0.output.shape.dimensions.count == 2)
    }
    for source in fishers {
      // A host may have named them so already.
      let data =
        source.label.hasPrefix("the ") ? source.label : "the \(dataName) of \(source.label)"
      // Of a tied tensor the values may have the other name, which their metadata says.
      let kept = source.metadata.filter { isKnown($0.key) }.map(\.value)
      let tied = Set(kept)
      let unused = source.tensors.map(\.name).filter { !isKnown($0) && !tied.contains($0) }
      guard let first = unused.first else {
        if source.tensors.isEmpty, isWanted {
          problem(.unused, "", "\(data) are of no tensor at all")
        }
        continue
      }
      guard unused.count < source.tensors.count else {
        let likely = PlanAlignment.nearest(unused, reference.tensors.map(\.name))
        problem(
          .unused, first,
          "no name of \(data) is that of a tensor: they are of "
            + "\(PlanAlignment.some(unused)), and \(reference.label) has "
            + PlanAlignment.some(reference.tensors.filter(\.dtype.isMergeable).map(\.name))
            + (likely.map { "; '\($0.unused)' may be meant for '\($0.name)'" } ?? ""))
        continue
      }
      note(
        PlanFinding(
          kind: .unused, tensor: first,
          text: "of \(data), \(unused.count) of \(source.tensors.count) "
            + "\(unused.count == 1 ? "is" : "are") of no tensor of the models, "
            + (unused.count == 1 ? "'\(first)'" : "the first of '\(first)'")),
        "\(unused.count == 1 ? "it is" : "they are") not used")
    }
  }

  private func isKnown(_ name: String) -> Bool {
    func has(_ source: any WeightSource) -> Bool {
      if source.tensor(named: name) != nil { return true }
      return source.metadata[name].map { source.tensor(named: $0) != nil } ?? false
    }
    return has(reference) || models.contains(where: has)
  }

  /// A few names, for a message.
  private static func some(_ names: [String]) -> String {
    let shown = names.prefix(3).map { "'\($0)'" }.joined(separator: ", ")
    return names.count > 3 ? "\(shown) and \(names.count - 3) more" : names.isEmpty ? "none" : shown
  }

  /// A pair of names of which one has a prefix ("model.") or an ending (".weight") more.
  private static func nearest(_ unused: [String], _ names: [String]) -> (
    unused: String, name: String
  )? {
    // Each search goes through all names.
    for wanted in unused.prefix(20) {
      let found = names.first { name in
        wanted.hasSuffix("." + name) || name.hasSuffix("." + wanted)
          || name.hasPrefix(wanted + ".") || wanted.hasPrefix(name + ".")
      }
      if let found { return (wanted, found) }
    }
    return nil
  }
}
