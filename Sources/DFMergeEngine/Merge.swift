import DFMergeCore
import DFMergeIO
import DFMergeKernels
import DFMergeMethods

/// Where the result of a merge goes.
public enum MergeDestination: Sendable {
  /// The host's memory: the tensors to write, which decide what is merged. They share no memory
  /// with the inputs or with each other.
  case memory([MutableTensorView])
  /// A `.safetensors` file, or for any other path a Hugging Face folder, laid out like the base
  /// (without a base, like the first model). Complete afterwards, or as it was before.
  case path(String)
  /// Nothing is written: a plan of what a result laid out like the base would take.
  case none
}

/// One merge: a method, its options, and the weights that it is applied to.
///
/// Definition:  every floating-point tensor (F64, F32, F16, BF16) is computed by the method, in
/// double, with one rounding to the type of the output; every other tensor is copied from the base,
/// or from the first model without a base.
/// Use:  make it, look at ``plan(to:)``, then ``run(to:progress:cancelled:)``. It keeps its inputs
/// open and may be run again.
/// Cost:  each input is read once (and once more for each pass that ``MergePlanReport`` names),
/// each output written once. Memory beyond inputs and outputs that lie in memory does not depend on
/// the size of the model; see ``MergePlanReport/peakMemory``.
/// Determinism:  the bytes of the result depend on inputs and options only: not on threads, memory,
/// shards, or whether the inputs are files.
public final class Merge: Sendable {
  /// Name of the method, as in ``MethodRegistry``.
  public let method: String
  /// The method's options, an object or null. Any number, flag or word may depend on the tensor:
  /// `{"gradient": [n1, n2, ...]}` is linear over the layers, and in a list of
  /// `{"filter": text, "value": ...}` the first counts whose text is part of the tensor's name.
  public let options: JSONValue
  public let settings: MergeSettings
  let base: (any WeightSource)?
  let models: [any WeightSource]
  let fishers: [any WeightSource]
  let arithmetic: TensorOptions
  let info: MethodInfo
  /// Nil where the inputs are no adapters.
  let adapters: AdapterInputs?
  /// In place of a base where the method needs one and adapters have none.
  private let zeros: ZeroWeights?

  /// Checks method, options and settings.
  /// - Parameters:
  ///   - models: the fine-tuned models; their labels are the names for options by model.
  ///   - fishers: one set of diagonal Fisher values per model for methods that need them,
  ///     otherwise empty: same names and shapes as the models', any floating-point type, 0 or more.
  ///     A tensor that is missing from every set is merged without.
  ///   - settings: an object or null, see ``MergeSettings/schema``.
  /// - Throws: `.unknownName`, `.invalidOption`, `.invalidArgument` for no models, a missing base or
  ///   another number of Fisher sets than the method needs.
  public init(
    _ method: String, options: JSONValue = .null, base: (any WeightSource)? = nil,
    models: [any WeightSource], fishers: [any WeightSource] = [], settings: JSONValue = .null
  ) throws(DFMergeError) {
    guard !models.isEmpty else {
      throw DFMergeError(.invalidArgument, "A merge was given no models; give one or more.")
    }
    arithmetic = try MethodRegistry.resolve(
      method, options: options, models: models.map(\.label))
    info = arithmetic.info
    for name in (settings.objectValue ?? [:]).keys.sorted()
    where info.options.contains(where: { $0.name == name }) {
      throw DFMergeError(
        .unknownName,
        "'\(name)' is an option of method '\(method)' and no setting of a merge; pass it among the "
          + "method's options.", context: ["option": name])
    }
    self.settings = try MergeSettings(settings)
    let adapters = try AdapterInputs(
      base: base, models: models, info: info, settings: self.settings)
    self.adapters = adapters
    let lacksBase = base == nil && info.needsBase
    zeros = lacksBase ? try adapters?.zeroBase(info) : nil
    guard !lacksBase || zeros != nil else {
      throw DFMergeError(
        .invalidArgument, "Method '\(method)' needs a base model; pass the pretrained weights.",
        context: ["method": method])
    }
    try Merge.checkData(fishers.count, models: models.count, info)
    self.method = method
    self.options = options
    self.base = base
    self.models = models
    self.fishers = fishers
  }

  /// Whether there are as many sets of what comes with the models as the method takes.
  private static func checkData(
    _ given: Int, models: Int, _ info: MethodInfo
  ) throws(DFMergeError) {
    guard given != (info.modelData == .none ? 0 : models) else { return }
    let sets = "\(given) set\(given == 1 ? "" : "s")"
    func needed(_ what: String) -> String {
      "Method '\(info.id)' was given \(sets) of \(what) for \(models) models; pass one for each "
        + "model, in the models' order."
    }
    let text =
      switch info.modelData {
      case .fisher: needed("Fisher values")
      case .gram: needed("Gram matrices")
      case .none:
        "Method '\(info.id)' takes no Fisher values and no Gram matrices but was given \(sets); "
          + "leave them out."
      }
    throw DFMergeError(.invalidArgument, text, context: ["method": info.id])
  }

  /// What ``run(to:progress:cancelled:)`` would do, without doing it.
  ///
  /// Cost: a comparison of names; beside that a tenth of a second for measuring the machine's speed.
  /// - Throws: `.invalidArgument` for nothing to merge and a path that is none, `.outOfMemory` for a
  ///   `max_memory` that is too small. Mismatches are in the report.
  public func plan(to destination: MergeDestination) throws(DFMergeError) -> MergePlanReport {
    if case .path(let path) = destination { try checkPath(path) }
    let plan = try align(destination)
    let resources = try resources(for: plan, methods(for: plan), destination)
    return MergePlanReport(
      merge: self, plan: plan, resources: resources, destination: destination,
      speed: settings.estimates
        ? MachineSpeed.measured(
          inputs: plan.entries.flatMap(\.operands), destination: destination) : nil)
  }

  /// Carries the merge out.
  ///
  /// - Parameters:
  ///   - progress: hears of bytes of the result that were gone through, and of all of them, each
  ///     counted once for every pass; on this thread; false stops.
  ///   - cancelled: polled on this thread; true stops.
  /// - Throws: as `init` and `plan`; `.missingTensor`, `.shapeMismatch`, `.dtypeMismatch` with every
  ///   mismatch in one message; `.nonFinite`; `.ioFailure`; `.cancelled`. Files are then as they
  ///   were. Memory is untouched but for the last three.
  @discardableResult
  public func run(
    to destination: MergeDestination,
    progress: (_ done: Int, _ total: Int) throws(DFMergeError) -> Bool = { _, _ in true },
    cancelled: () -> Bool = { false }
  ) throws(DFMergeError) -> MergeReport {
    let start = MachineSpeed.now()
    let plan = try align(destination)
    try plan.throwIfRefused()
    let methods = try methods(for: plan)
    let resources = try resources(for: plan, methods, destination)
    let completed = CompletedBytes()
    let total = resources.bytesWritten &* resources.passes
    func poll() throws(DFMergeError) {
      let goesOn = try progress(min(completed.value, total), total)
      guard goesOn, !cancelled() else {
        throw DFMergeError(.cancelled, "The merge was stopped.")
      }
    }
    func execute(
      _ target: MergeTarget
    ) throws(DFMergeError) -> (stored: StoreOutcome, figures: [String: Double]) {
      try MergeExecutor(
        plan: plan, target: target, resources: resources, settings: settings,
        completed: completed
      ).run(methods, poll: poll)
    }
    let outcome: (stored: StoreOutcome, figures: [String: Double])
    switch destination {
    case .none:
      throw DFMergeError(
        .invalidArgument, "A merge was given nowhere to write; pass memory or a path.")
    case .memory(let views):
      try plan.refuseSharedMemory(
        of: views, with: (base.map { [$0] } ?? []) + models + fishers)
      outcome = try execute(.memory(views))
      _ = try progress(total, total)
    case .path(let path):
      let output = try OutputFiles(path: path, merge: self, plan: plan)
      outcome = try execute(output.target)
      // Polls when all is written and before a name changes; nothing can stop the merge after that.
      try output.finish(figures: outcome.figures, poll: poll)
    }
    return MergeReport(
      plan: plan, resources: resources, outcome: outcome.stored, figures: outcome.figures,
      seconds: MachineSpeed.now() - start)
  }

  func align(_ destination: MergeDestination) throws(DFMergeError) -> MergePlan {
    var outputs: [TensorSpec]?
    if case .memory(let views) = destination {
      outputs = try views.map { (view) throws(DFMergeError) in
        try TensorSpec(name: view.name, dtype: view.dtype, shape: view.shape)
      }
    }
    let base: (any WeightSource)? = base ?? zeros
    return try MergePlan(
      outputs: outputs, base: base, models: models, fishers: fishers,
      needsBase: info.usesBase && base != nil, settings: settings,
      side: try arithmetic.sideTensors(of: models),
      methods: { [arithmetic] (names) throws(DFMergeError) in
        try arithmetic.methods(for: names)
      })
  }

  func methods(for plan: MergePlan) throws(DFMergeError) -> MethodSet {
    try arithmetic.methods(for: plan.entries.map(\.output.name))
  }

  func resources(
    for plan: MergePlan, _ methods: MethodSet, _ destination: MergeDestination
  ) throws(DFMergeError) -> MergeResources {
    let toFiles = if case .path = destination { true } else { false }
    return try MergeResources(plan, methods: methods, settings: settings, toFiles: toFiles)
  }
}
