import DFMergeCore
import DFMergeKernels
import DFMergeMethods

/// One merge into memory, from names and options to the written target: what every door calls.
public enum InMemoryMerge {
  /// Merges `models` into `target` with the method called `method`.
  ///
  /// Shapes:      every tensor of the target exists in base and models with the same shape.
  /// Units/dtype: arithmetic in double, one rounding to the target's type.
  /// Edge cases:  tensors of other types than F64, F32, F16, BF16 are copied from the base, or
  /// from the
  ///              first model without a base; a tensor that no Fisher source has is merged without.
  /// Cost:        every input read once, the target written once.
  /// - Parameters:
  ///   - fishers: one source per model for methods that need Fisher values, otherwise empty.
  ///   - threads: 0 is one per available core; changes no result.
  ///   - cancelled: polled between tiles.
  /// - Throws: `.unknownName`, `.invalidOption`, `.invalidArgument` (what the method needs is not
  ///   there, shared memory, negative threads), `.missingTensor`, `.shapeMismatch`,
  ///   `.dtypeMismatch`, `.nonFinite`, `.cancelled`. The target is untouched but for the last two.
  public static func run(
    method id: String, options: JSONValue, base: (any WeightSource)?,
    models: [any WeightSource], fishers: [any WeightSource], target: [MutableTensorView],
    threads: Int, cancelled: @escaping @Sendable () -> Bool
  ) throws(DFMergeError) {
    let method = try MethodRegistry.make(id, options: options, models: models.map(\.label))
    let info = type(of: method).info
    guard base != nil || !info.needsBase else {
      throw DFMergeError(
        .invalidArgument, "Method '\(id)' needs a base model; pass the pretrained weights.",
        context: ["method": id])
    }
    guard fishers.count == (info.needsFisher ? models.count : 0) else {
      throw DFMergeError(
        .invalidArgument,
        "Method '\(id)' takes \(info.needsFisher ? models.count : 0) sets of Fisher values but was "
          + "given \(fishers.count).", context: ["method": id])
    }
    guard threads >= 0 else {
      throw DFMergeError(.invalidArgument, "threads is \(threads); it must be 0 or more.")
    }
    let plan = try MergePlan(target: target, base: base, models: models)
    try plan.refuseSharedMemory(with: (base.map { [$0] } ?? []) + models + fishers)
    var lookups: [MergeExecutor.FisherLookup] = []
    for source in fishers {
      lookups.append(try plan.fisherLookup(source, present: fishers))
    }
    try MergeExecutor(plan: plan, threads: threads).run(
      method, fishers: lookups,
      poll: { () throws(DFMergeError) in
        if cancelled() { throw DFMergeError(.cancelled, "The merge was stopped.") }
      })
  }
}

extension MergePlan {
  /// Fisher values by plan position from named tensors.
  /// - Parameter others: the Fisher values of all models; a tensor is in all of them or in none.
  /// - Throws: `.missingTensor`, `.shapeMismatch`, `.dtypeMismatch`.
  package func fisherLookup(
    _ source: any WeightSource, present others: [any WeightSource]
  ) throws(DFMergeError) -> MergeExecutor.FisherLookup {
    var found: [FisherElements?] = []
    for entry in entries {
      guard let tensor = source.tensor(named: entry.target.name) else {
        if let other = others.first(where: { $0.tensor(named: entry.target.name) != nil }) {
          throw DFMergeError(
            .missingTensor,
            "Fisher values of '\(entry.target.name)' are in \(other.label) but missing from "
              + "\(source.label); give them for every model or for none.",
            context: ["tensor": entry.target.name])
        }
        found.append(nil)
        continue
      }
      guard tensor.shape == entry.target.shape else {
        throw DFMergeError(
          .shapeMismatch,
          "The Fisher values of '\(tensor.name)' in \(source.label) are \(tensor.shape) but the "
            + "tensor is \(entry.target.shape).", context: ["tensor": tensor.name])
      }
      guard tensor.dtype.isMergeable else {
        throw DFMergeError(
          .dtypeMismatch,
          "The Fisher values of '\(tensor.name)' in \(source.label) are \(tensor.dtype.name); "
            + "pass F64, "
            + "F32, F16 or BF16.", context: ["tensor": tensor.name])
      }
      found.append(
        Elements(tensor).map { FisherElements(lower: $0, upper: nil, fraction: 0) })
    }
    let values = found
    // The closure holds `source`, and with it the memory that the elements point to.
    return { position in withExtendedLifetime(source) { values[position] } }
  }
}
