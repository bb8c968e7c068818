import DFMergeCore
import DFMergeEngine
import DFMergeKernels

/// What a search asks of the program around it. All calls come on the thread that called `run`.
public protocol SearchHost: AnyObject {
  /// Scores the candidate whose weights stand in the target's memory now.
  /// - Throws: anything to end the run; the search keeps what it has and can be resumed.
  func evaluate(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation

  /// Scores the same candidate on a fixed subset, with the option `subset_share`; the whole
  /// evaluation follows only where that is worth its cost.
  /// - Throws: as `evaluate`; without an implementation `.invalidState`.
  func evaluateSubset(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation

  /// Measures the diagonal Fisher of one model at the weights that stand in the target's memory
  /// now, base + coefficient * (model - base), and adds it to `request`.
  func measureFisher(_ request: FisherRequest) throws(DFMergeError)

  /// Hears of progress; false ends the run with `.cancelled`.
  func progress(_ event: ProgressEvent) throws(DFMergeError) -> Bool
}

extension SearchHost {
  public func evaluateSubset(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation {
    throw DFMergeError(
      .invalidState,
      "The search has the option subset_share, but its host does not score subsets; implement "
        + "evaluateSubset, or leave the option out.")
  }
}

/// The candidate to be scored.
public struct TrialRequest: Sendable {
  /// Counts from 0.
  public let number: Int
  /// As in ``Candidate/coefficients``.
  public let coefficients: [Double]
  /// Power of the Fisher weights.
  public let exponent: Double
}

/// What an evaluation found.
public enum Evaluation: Sendable {
  /// One score per task, larger is better; `variances` is empty or has one per task, NaN where it
  /// is unknown. A score that is not finite makes the trial failed.
  case scores([Double], variances: [Double])
  /// The candidate could not be scored; recorded, and the search goes on.
  case failed
}

/// Where a Fisher callback puts what it measured. Valid during the callback only.
public final class FisherRequest {
  /// Index of the model, in the models' order.
  public let model: Int
  /// The coefficient at which each group of the model's tensors stands in memory.
  public let coefficients: [Double]
  private let buffer: FisherBuffer

  init(model: Int, coefficients: [Double], buffer: FisherBuffer) {
    self.model = model
    self.coefficients = coefficients
    self.buffer = buffer
  }

  /// The coefficient at which the whole model stands in memory; NaN where its groups differ.
  public var coefficient: Double {
    guard let first = coefficients.first, coefficients.allSatisfy({ $0 == first }) else {
      return .nan
    }
    return first
  }

  /// Names of the tensors that have Fisher values, in the target's order.
  public var names: [String] { buffer.names }

  /// The values of one tensor, to write or add to: as many as the tensor has elements, from 0.
  /// - Throws: `.missingTensor` for a tensor that is not merged.
  public func values(of name: String) throws(DFMergeError) -> UnsafeMutableBufferPointer<Float> {
    guard let position = buffer.position(of: name) else {
      throw DFMergeError(
        .missingTensor, "There is no merged tensor '\(name)' to give Fisher values to.",
        context: ["tensor": name])
    }
    return buffer.values(at: position)
  }

  /// Adds `weight * g^2`, fused, for the gradient of one sample.
  ///
  /// Squares are taken per call: pass one sample's gradient at a time, never a batch's sum or mean.
  /// - Throws: `.missingTensor`, `.shapeMismatch`, `.dtypeMismatch`, `.nonFinite` (weight).
  public func accumulate(_ gradient: TensorView, weight: Double) throws(DFMergeError) {
    guard gradient.dtype.isMergeable else {
      throw DFMergeError(
        .dtypeMismatch,
        "The gradient of '\(gradient.name)' is \(gradient.dtype.name); pass F64, F32, F16 or BF16.",
        context: ["tensor": gradient.name])
    }
    try buffer.accumulateSquares(
      name: gradient.name, gradient: Elements(gradient), count: gradient.shape.elementCount,
      weight: weight)
  }
}

/// One step of progress.
public struct ProgressEvent: Sendable {
  /// What is being counted.
  public enum Phase: String, Sendable { case trial, fisher, merge }
  public let phase: Phase
  public let done: Int
  public let total: Int
  /// The best score so far; nil before there is one.
  public let best: Double?
}
