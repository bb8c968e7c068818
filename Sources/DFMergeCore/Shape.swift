/// The sizes of a tensor's axes, outermost first; empty for a scalar.
///
/// Sizes are non-negative and their product fits in `Int`, so arithmetic on a `Shape` cannot trap.
public struct Shape: Hashable, Sendable, CustomStringConvertible {
  /// Sizes, outermost axis first.
  public let dimensions: [Int]
  /// The product of the sizes; 1 for a scalar, 0 when any size is 0.
  public let elementCount: Int

  /// Checks and keeps `dimensions`.
  /// - Throws: `.invalidArgument` for a negative size or a product that overflows 64 bits.
  public init(_ dimensions: [Int]) throws(DFMergeError) {
    var count = 1
    for size in dimensions {
      guard size >= 0 else {
        throw DFMergeError(
          .invalidArgument, "A shape holds the negative size \(size); sizes must be 0 or more.")
      }
      let (product, overflow) = count.multipliedReportingOverflow(by: size)
      guard !overflow else {
        throw DFMergeError(
          .invalidArgument, "The element count of shape \(dimensions) does not fit in 64 bits.")
      }
      count = product
    }
    self.dimensions = dimensions
    self.elementCount = count
  }

  /// The shape `[count]`.
  /// - Precondition: `count` is 0 or more.
  package init(vector count: Int) {
    dimensions = [count]
    elementCount = count
  }

  /// The size of the last axis; 1 for a scalar.
  package var rowLength: Int { dimensions.last ?? 1 }

  /// The shape of the first rows of the first axis, `elements` of them.
  /// - Precondition: `elements` is a whole number of rows of the first axis, all of them for a
  ///   scalar.
  package func leading(elements: Int) -> Shape {
    guard elements < elementCount, let first = dimensions.first else { return self }
    return Shape(
      dimensions: [elements / (elementCount / first)] + dimensions.dropFirst(), count: elements)
  }

  private init(dimensions: [Int], count: Int) {
    self.dimensions = dimensions
    elementCount = count
  }

  /// `"[3, 4]"`.
  public var description: String {
    "[" + dimensions.map(String.init).joined(separator: ", ") + "]"
  }
}
