import DFMergeCore
import DFMergeIO
import DFMergeKernels

/// What a merge did.
public struct MergeReport: Sendable {
  /// Tensors that were computed and copied.
  public let merged: Int
  public let copied: Int
  /// Names of the outputs that were not written.
  public let leftOut: [String]
  /// The tensors of the result that have the values of another one because they are made of the same
  /// inputs: its name, by theirs. A host may store each such tensor once.
  public let ties: [String: String]
  /// What the settings settled, one sentence each.
  public let notes: [String]
  public let bytesRead: Int
  public let bytesWritten: Int
  public let seconds: Double
  /// Root mean square of the rounding to F16 or BF16 relative to that of the values,
  /// `sqrt(sum (stored - exact)^2 / sum exact^2)`; nil where no output has such a type.
  public let roundingError: Double?
  /// Whether a result is NaN or infinite, which `non_finite: allow` lets pass.
  public let hasNonFinite: Bool
  /// Numbers that the method found, by name: those that OPCM takes to go on with the result.
  public let figures: [String: Double]

  init(
    plan: MergePlan, resources: MergeResources, outcome: StoreOutcome,
    figures: [String: Double], seconds: Double
  ) {
    merged = plan.mergedTensorCount
    copied = plan.copies.count
    leftOut = plan.leftOut
    ties = plan.ties
    notes = plan.notes.map(\.text)
    bytesRead = resources.bytesRead
    bytesWritten = resources.bytesWritten
    self.seconds = seconds
    let error = (outcome.squaredError / outcome.squaredValue).squareRoot()
    roundingError = outcome.squaredValue > 0 && error.isFinite ? error : nil
    hasNonFinite = outcome.hasNonFinite
    self.figures = figures
  }

  public var json: JSONValue {
    .object([
      "tensors": .object([
        "merged": .int(Int64(merged)), "copied": .int(Int64(copied)),
        "left_out": .int(Int64(leftOut.count)),
      ]),
      "left_out": .array(leftOut.map(JSONValue.string)),
      "ties": .object(ties.mapValues(JSONValue.string)),
      "notes": .array(notes.map(JSONValue.string)), "bytes_read": .int(Int64(bytesRead)),
      "bytes_written": .int(Int64(bytesWritten)), "seconds": .double(seconds),
      "rounding_error": roundingError.map(JSONValue.double) ?? .null,
      "non_finite": .bool(hasNonFinite),
      "figures": .object(figures.mapValues(MergeRecord.number)),
    ])
  }
}
