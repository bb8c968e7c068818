import DFMergeCore

/// What a method reads and writes beside the tensors that are merged: a bit for each element of a
/// tensor, and numbers of the whole model.
///
/// Bits of a tensor called `name` are a tensor called `name + suffix`, of type U8 and shape
/// `[(n + 7) / 8]` for n elements; that of element i is bit i % 8 of byte i / 8. Numbers are F64
/// vectors. Both are written into files and folders, and into memory that has room for them under
/// these names.
package struct SideTensors: Sendable {
  /// Suffixes of the bits that every tensor of the first model must have: ``InputTile/bits``.
  package var bitsRead: [String] = []
  /// Vectors that the first model must have: ``InputTile/numbers``.
  package var numbersRead: [String] = []
  /// Suffixes of the bits that are written for every merged tensor: ``MergeTile/bitsOut``.
  package var bitsWritten: [String] = []
  /// Vectors that are written, and how many numbers each has: ``MergeMethod/numbers(_:)``.
  package var numbersWritten: [(name: String, count: Int)] = []
  /// Whether a tensor of a model is one of these, so that it is no tensor that the base lacks.
  package var isKnown: @Sendable (_ name: String) -> Bool = { _ in false }
  /// Whether the result is a model, so that a folder gets what makes one loadable.
  package var isModel = true

  package init() {}

  package var writes: Bool { !bitsWritten.isEmpty || !numbersWritten.isEmpty }

  /// Whether an output of this name is one of those written beside the tensors called `names`.
  package func isWritten(_ output: String, beside names: Set<String>) -> Bool {
    numbersWritten.contains { $0.name == output }
      || bitsWritten.contains {
        output.hasSuffix($0) && names.contains(String(output.dropLast($0.count)))
      }
  }
}
