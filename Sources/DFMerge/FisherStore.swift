import DFMergeCore
import DFMergeEngine
import DFMergeKernels
import DFMergeMethods

/// The Fisher values of a search: measured through the host when they are needed, and kept for as
/// long as they hold.
///
/// Memory, for M models of N merged elements: dynamic and static 4 M N bytes; interpolated up to
/// 4 M N K bytes for K nodes, as nodes are measured on first use; none 0.
final class FisherStore {
  private let plan: MergePlan
  private let options: SearchOptions
  /// By model and node; one node for dynamic and static.
  private var buffers: [[FisherBuffer?]]
  /// Number of measurements so far, for progress.
  private(set) var measured = 0

  init(plan: MergePlan, options: SearchOptions, modelCount: Int) {
    self.plan = plan
    self.options = options
    let nodes = options.fisherMode == .interpolated ? options.nodes : 1
    buffers = Array(repeating: Array(repeating: nil, count: nodes), count: modelCount)
  }

  /// One lookup per model for the weights of `candidate`; empty when it needs none.
  /// - Parameter measure: measures model `model` at `coefficient` into a cleared buffer.
  func lookups(
    for candidate: Candidate,
    measure: (_ model: Int, _ coefficient: Double, _ buffer: FisherBuffer) throws(DFMergeError) ->
      Void
  ) throws(DFMergeError) -> [MergeExecutor.FisherLookup] {
    guard options.fisherMode != .none, candidate.exponent != 0 else { return [] }
    var lookups: [MergeExecutor.FisherLookup] = []
    for (model, coefficient) in candidate.coefficients.enumerated() {
      switch options.fisherMode {
      case .none: break
      case .dynamic:
        let buffer = try fresh(model, 0)
        try measure(model, options.fisherPlace(for: coefficient), buffer)
        measured += 1
        lookups.append { FisherElements(lower: buffer.elements(at: $0), upper: nil, fraction: 0) }
      case .static:
        let buffer = try kept(model, node: 0, at: 1, measure)
        lookups.append { FisherElements(lower: buffer.elements(at: $0), upper: nil, fraction: 0) }
      case .interpolated:
        lookups.append(try interpolated(model, coefficient, measure))
      }
    }
    return lookups
  }

  private func interpolated(
    _ model: Int, _ coefficient: Double,
    _ measure: (Int, Double, FisherBuffer) throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> MergeExecutor.FisherLookup {
    let range = options.bounds[model]
    let intervals = options.nodes - 1
    let width = range.upperBound - range.lowerBound
    let position = (coefficient - range.lowerBound) / width * Double(intervals)
    // Held to the interval before the conversion: a host may apply any finite coefficient.
    let low = Int(min(max(position.rounded(.down), 0), Double(intervals - 1)))
    let fraction = min(max(position - Double(low), 0), 1)
    func node(_ index: Int) throws(DFMergeError) -> FisherBuffer {
      // The place is affine in the coefficient, so interpolation over places is the same one.
      let at = range.lowerBound + width * Double(index) / Double(intervals)
      return try kept(model, node: index, at: options.fisherPlace(for: at), measure)
    }
    // At position 1 every node stands at the model itself.
    guard options.fisherPosition < 1 else {
      let buffer = try node(0)
      return { FisherElements(lower: buffer.elements(at: $0), upper: nil, fraction: 0) }
    }
    // A candidate that stands on a node needs that node alone.
    if fraction == 0 || fraction == 1 {
      let buffer = try node(fraction == 0 ? low : low + 1)
      return { FisherElements(lower: buffer.elements(at: $0), upper: nil, fraction: 0) }
    }
    let lower = try node(low)
    let upper = try node(low + 1)
    return {
      FisherElements(
        lower: lower.elements(at: $0), upper: upper.elements(at: $0), fraction: fraction)
    }
  }

  private func kept(
    _ model: Int, node: Int, at coefficient: Double,
    _ measure: (Int, Double, FisherBuffer) throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> FisherBuffer {
    if let buffer = buffers[model][node] { return buffer }
    let buffer = try FisherBuffer(for: plan)
    try measure(model, coefficient, buffer)
    // Kept only when the measurement succeeded, so that a stopped one is not taken for a result.
    buffers[model][node] = buffer
    measured += 1
    return buffer
  }

  private func fresh(_ model: Int, _ node: Int) throws(DFMergeError) -> FisherBuffer {
    if let buffer = buffers[model][node] {
      try buffer.clear(threads: options.threads)
      return buffer
    }
    let buffer = try FisherBuffer(for: plan)
    buffers[model][node] = buffer
    return buffer
  }
}
