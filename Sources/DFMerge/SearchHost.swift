import DFMergeCore
import DFMergeEngine
import DFMergeKernels
import Synchronization

/// What a search asks of the program around it. All calls come on the thread that called `run`, or
/// on the run's own after ``Search/start(_:journal:host:)->SearchRun``.
public protocol SearchHost: AnyObject {
  /// Scores the candidate whose weights stand in the target's memory now.
  /// - Throws: anything to end the run; the search keeps what it has and can be resumed.
  func evaluate(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation

  /// Scores the same candidate on a fixed subset, with the option `subset_share`; the whole
  /// evaluation follows only where that is worth its cost.
  /// - Throws: as `evaluate`; without an implementation `.invalidState`.
  func evaluateSubset(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation

  /// Measures the diagonal Fisher of one model at the weights that stand in the target's memory
  /// now, base + coefficient * (model - base), and adds it to `request`. Not called with the option
  /// `fisher` "none".
  /// - Throws: as `evaluate`; without an implementation `.invalidState`.
  func measureFisher(_ request: FisherRequest) throws(DFMergeError)

  /// Hears of progress: of trials and Fisher measurements as they end, and of merges about fifty
  /// times a second, in bytes; false ends the run with `.cancelled`. Without an implementation the
  /// search goes on.
  func progress(_ event: ProgressEvent) throws(DFMergeError) -> Bool
}

extension SearchHost {
  /// Refuses: a search with `subset_share` needs an implementation of its own.
  public func evaluateSubset(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation {
    throw .missingSubset
  }

  /// Refuses: a search with Fisher values needs an implementation of its own.
  public func measureFisher(_ request: FisherRequest) throws(DFMergeError) { throw .missingFisher }

  /// Goes on.
  public func progress(_ event: ProgressEvent) throws(DFMergeError) -> Bool { true }
}

extension DFMergeError {
  static var missingSubset: DFMergeError {
    DFMergeError(
      .invalidState,
      "The search has the option subset_share, but its host does not score subsets; implement "
        + "evaluateSubset, or leave the option out.")
  }

  static var missingFisher: DFMergeError {
    DFMergeError(
      .invalidState,
      "The search needs Fisher values, but its host measures none; implement measureFisher, or set "
        + "the option fisher to \"none\".")
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
  case scores([Double], variances: [Double] = [])
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
  /// Lowered when the callback has returned: the values are the search's from then on.
  private let isOpen = Atomic<Bool>(true)

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

  /// Ends its use.
  func close() { isOpen.store(false, ordering: .releasing) }

  private func checkOpen() throws(DFMergeError) {
    guard isOpen.load(ordering: .acquiring) else {
      throw DFMergeError(
        .invalidState,
        "A Fisher request was used after its callback had returned; measure within the callback.")
    }
  }

  /// Names of the tensors that have Fisher values, in the target's order.
  public var names: [String] { buffer.names }

  /// The values of one tensor, to write or add to: as many as the tensor has elements, from 0.
  /// - Throws: `.missingTensor` for a tensor that is not merged, `.invalidState` after the callback.
  public func values(of name: String) throws(DFMergeError) -> UnsafeMutableBufferPointer<Float> {
    try checkOpen()
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
  /// - Throws: `.missingTensor`, `.shapeMismatch`, `.dtypeMismatch`, `.nonFinite` (weight),
  ///   `.invalidState` after the callback.
  public func accumulate(_ gradient: TensorView, weight: Double) throws(DFMergeError) {
    try checkOpen()
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

  /// The same for the gradient of one sample in an array, row by row.
  /// - Throws: `.missingTensor`, `.shapeMismatch` for another number of elements, `.nonFinite`.
  public func accumulate(
    _ gradient: [Float], of name: String, weight: Double
  ) throws(DFMergeError) {
    let failure = gradient.withUnsafeBytes { bytes -> DFMergeError? in
      do throws(DFMergeError) {
        try buffer.accumulateSquares(
          name: name,
          gradient: bytes.baseAddress.map { Elements(pointer: $0, dtype: .f32) },
          count: gradient.count, weight: weight)
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw failure }
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
