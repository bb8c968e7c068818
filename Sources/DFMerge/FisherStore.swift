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
  /// Measures model `model` into a cleared buffer, each group of its tensors at its coefficient.
  typealias Measure =
    (_ model: Int, _ places: [Double], _ buffer: FisherBuffer) throws(DFMergeError) -> Void

  private let plan: MergePlan
  private let options: SearchOptions
  /// The group of each entry of the plan.
  private let groups: [Int]
  private let groupCount: Int
  /// By model and node; one node for dynamic and static.
  private var buffers: [[FisherBuffer?]]
  /// Number of measurements so far, for progress.
  private(set) var measured = 0

  init(plan: MergePlan, options: SearchOptions, modelCount: Int, groups: [Int]) {
    self.plan = plan
    self.options = options
    self.groups = groups
    groupCount = (groups.max() ?? 0) + 1
    let nodes = options.fisherMode == .interpolated ? options.nodes : 1
    buffers = Array(repeating: Array(repeating: nil, count: nodes), count: modelCount)
  }

  /// One lookup per model for the weights of a candidate; empty when it needs none.
  /// - Parameter table: by group, one coefficient per model.
  func lookups(
    for table: [[Double]], exponent: Double, measure: Measure
  ) throws(DFMergeError) -> [MergeExecutor.FisherLookup] {
    guard options.fisherMode != .none, exponent != 0 else { return [] }
    var lookups: [MergeExecutor.FisherLookup] = []
    for model in buffers.indices {
      let coefficients = table.map { $0[model] }
      switch options.fisherMode {
      case .none: break
      case .dynamic:
        let buffer = try fresh(model, 0)
        try measure(model, coefficients.map(options.fisherPlace), buffer)
        measured += 1
        lookups.append { FisherElements(lower: buffer.elements(at: $0), upper: nil, fraction: 0) }
      case .static:
        let buffer = try kept(model, node: 0, at: 1, measure)
        lookups.append { FisherElements(lower: buffer.elements(at: $0), upper: nil, fraction: 0) }
      case .interpolated:
        lookups.append(try interpolated(model, coefficients, measure))
      }
    }
    return lookups
  }

  /// What the tensors of one group read.
  private struct Reading: Sendable {
    let lower: FisherBuffer
    let upper: FisherBuffer?
    let fraction: Double
  }

  /// Each group interpolates at its own coefficient between nodes at which all groups of the model
  /// stood at one coefficient: what one group's Fisher owes to where the others stand is left out.
  private func interpolated(
    _ model: Int, _ coefficients: [Double], _ measure: Measure
  ) throws(DFMergeError) -> MergeExecutor.FisherLookup {
    var readings: [Reading] = []
    for coefficient in coefficients {
      readings.append(try reading(model, coefficient, measure))
    }
    return { [readings, groups] entry in
      let reading = readings[groups[entry]]
      return FisherElements(
        lower: reading.lower.elements(at: entry), upper: reading.upper?.elements(at: entry),
        fraction: reading.fraction)
    }
  }

  private func reading(
    _ model: Int, _ coefficient: Double, _ measure: Measure
  ) throws(DFMergeError) -> Reading {
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
      return Reading(lower: try node(0), upper: nil, fraction: 0)
    }
    // A candidate that stands on a node needs that node alone.
    if fraction == 0 || fraction == 1 {
      return Reading(lower: try node(fraction == 0 ? low : low + 1), upper: nil, fraction: 0)
    }
    return Reading(lower: try node(low), upper: try node(low + 1), fraction: fraction)
  }

  private func kept(
    _ model: Int, node: Int, at coefficient: Double, _ measure: Measure
  ) throws(DFMergeError) -> FisherBuffer {
    if let buffer = buffers[model][node] { return buffer }
    let buffer = try FisherBuffer(for: plan)
    try measure(model, Array(repeating: coefficient, count: groupCount), buffer)
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
