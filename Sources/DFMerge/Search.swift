import DFMergeBO
import DFMergeCore
import DFMergeEngine
import DFMergeKernels
import DFMergeMethods
import Glibc
import Synchronization

/// A DF-Merge search: finds one coefficient per model, or per model and group of tensors, by
/// Bayesian optimisation, merging every candidate straight into the host's own parameter memory.
/// With the option `strategy` "greedy_soup" it makes a soup instead; see ``SearchOptions/Strategy``.
///
/// Definition: for a candidate (c, p), W_m = (F_m + epsilon)^p and
///   theta = theta0 + M sum(W_m c_m (theta_m - theta0)) / sum(W_m),
/// with the coefficients of the group that a tensor belongs to;
/// the host scores theta on validation data, and the optimiser proposes the next candidate.
/// With the option `method`, candidates are merged by another method, and its numeric options are
/// what is searched.
/// Use: make a search, then `run` it with a host, or from async code ``start(_:journal:host:)->SearchRun``
/// it. One thread at a time.
/// Memory: the Fisher values (see ``SearchOptions/FisherMode``); inputs and target are the host's.
/// Determinism: options, weights and the host's answers decide every trial and every byte; the
/// number of threads does not. Source: Lee et al. 2025 (arXiv 2504.18992). `preset: "paper"` is
/// the paper; the default's deviations are searched exponents, the Fisher mode, the optimiser and
/// the final choice (docs/search.md).
public final class Search {
  public let options: SearchOptions
  /// Names of the models, in order.
  public let models: [String]
  /// Names of what is searched, in order: the models, whose coefficients are, or another method's
  /// options.
  public var parameters: [String] { space.parameters }
  /// The tensors' groups; one where all share their coefficients.
  public let groups: SearchGroups
  /// Every finished trial, in order.
  public internal(set) var trials: [TrialRecord] = []
  /// What happened that the user should know, in sentences.
  public internal(set) var warnings: [String] = []
  /// Why the last run ended; nil before a run and after one that was stopped.
  public internal(set) var ending: Ending?

  let plan: MergePlan
  let space: SearchSpace
  /// What is searched in place of DF-Merge's coefficients; nil for these.
  private let searched: SearchedMethod?
  private let target: [MutableTensorView]
  let fingerprint: String
  let executor: MergeExecutor
  let optimizer: Optimizer
  let beginning: SearchBeginning
  let store: FisherStore
  let cancelled: @Sendable () -> Bool
  /// Bytes of the target that all merges so far have gone through.
  let completed = CompletedBytes()
  /// Tells that the run under way is to stop.
  var stopped: @Sendable () -> Bool = { false }
  /// Raised during a run: a second one is refused, from another thread as from the host.
  let isRunning = Atomic<Bool>(false)
  var clock = SearchClock()
  var journal: Journal?
  var stopping = StoppingRule()
  /// The suggestion of the trial that is under way.
  var openSuggestion: Suggestion?
  /// The first stage of the trial that is under way, once its scores are known.
  var openSubset: OpenSubset?
  /// Whether the caller's candidates have been handed to the optimiser.
  var isQueued = false

  /// Aligns the weights and checks the options.
  /// - Parameters:
  ///   - target: the host's parameter memory, which every candidate is written into.
  ///   - base: the pretrained model theta0. Must not share memory with the target.
  ///   - models: the fine-tuned models by name, in order. Must not share memory with the target.
  ///   - options: see ``SearchOptions/schema``.
  ///   - cancelled: polled between tiles and trials; true stops the run.
  /// - Throws: `.invalidArgument` (no models, a name twice, shared memory), `.missingTensor`,
  ///   `.shapeMismatch`, `.dtypeMismatch`, `.unknownName`, `.invalidOption`.
  public init(
    target: [MutableTensorView], base: any WeightSource,
    models: [(name: String, weights: any WeightSource)], options: JSONValue = .null,
    cancelled: @escaping @Sendable () -> Bool = { false }
  ) throws(DFMergeError) {
    let names = models.map(\.name)
    guard !names.isEmpty, Set(names).count == names.count, !names.contains("") else {
      throw DFMergeError(
        .invalidArgument,
        "A search needs one model or more, each with its own name; it was given "
          + "[\(names.joined(separator: ", "))].")
    }
    guard !names.contains("exponent") else {
      throw DFMergeError(
        .invalidArgument,
        "A model is called 'exponent', which is the name of the searched exponent in results; give "
          + "it another name.")
    }
    self.models = names
    self.options = try SearchOptions(options, models: names)
    self.target = target
    let searched = try SearchedMethod(self.options, models: names)
    self.searched = searched
    plan = try MergePlan(target: target, base: base, models: models.map(\.weights))
    try plan.refuseSharedMemory(of: target, with: [base] + models.map(\.weights))
    guard !plan.entries.isEmpty else {
      throw DFMergeError(
        .invalidArgument,
        "The target has no tensor to merge (F64, F32, F16 or BF16); check what was registered.")
    }
    let groups = try SearchGroups(
      self.options.groups, tensors: plan.entries.map { ($0.output.name, $0.mergedCount) })
    self.groups = groups
    let (bounds, exponent) = (self.options.bounds, self.options.exponent)
    space =
      self.options.strategy == .greedySoup
      ? SearchSpace(soupOf: names)
      : searched.map { SearchSpace($0, groups: groups.names) }
        ?? SearchSpace(
          models: names, groups: groups.names, bounds: bounds, exponent: exponent)
    fingerprint = Fingerprint.of(
      names: target.map(\.name), sources: [base] + models.map(\.weights))
    executor = try MergeExecutor(
      plan: plan, target: target, threads: self.options.threads, completed: completed,
      groups: groups.assignment, nonFiniteRemedy: self.options.nonFiniteRemedy)
    beginning = try SearchBeginning(self.options, space)
    optimizer = try Search.makeOptimizer(self.options, space, beginning)
    store = FisherStore(
      plan: plan, options: self.options, modelCount: names.count, groups: groups.assignment)
    self.cancelled = cancelled
    warnings = beginning.warnings
  }

  // MARK: Merging

  /// Writes a candidate into the target, measuring Fisher values through `host` where they are
  /// needed.
  /// - Throws: `.invalidArgument` for another number of coefficients than one per model and group
  ///   or one that is not finite, `.nonFinite` when the result or a Fisher value is not finite, `.cancelled`, what the host
  ///   throws.
  public func apply(_ candidate: Candidate, host: any SearchHost) throws(DFMergeError) {
    guard candidate.coefficients.count == space.bounds.count,
      candidate.coefficients.allSatisfy(\.isFinite),
      (0...1).contains(candidate.exponent)
    else {
      throw DFMergeError(
        .invalidArgument,
        "A candidate needs \(space.bounds.count) finite coefficients and an exponent from "
          + "0 to 1; it has \(candidate.coefficients) and \(candidate.exponent).")
    }
    let table = table(of: candidate)
    let other: MethodSet?
    if options.strategy == .greedySoup {
      other = MethodSet(try SoupAverage(weights: candidate.coefficients))
    } else if let searched {
      other = try searched.methods(table, groups: groups.assignment)
    } else {
      other = nil
    }
    if let other {
      let start = SearchClock.now()
      defer { clock.trial.merge += SearchClock.now() - start }
      return try write(other, [], host)
    }
    let lookups = try store.lookups(for: table, exponent: candidate.exponent) {
      (model, places, buffer) throws(DFMergeError) in
      try measure(model, places, buffer, host)
    }
    let start = SearchClock.now()
    defer { clock.trial.merge += SearchClock.now() - start }
    let method = DFMergeCombine(
      coefficients: table, epsilon: options.epsilon, exponent: candidate.exponent)
    try write(MethodSet(method), lookups, host)
  }

  /// The coefficients of each group.
  private func table(of candidate: Candidate) -> [[Double]] {
    groups.groups.indices.map { group in
      parameters.indices.map { candidate.coefficients[$0 * groups.count + group] }
    }
  }

  /// Why another method does not take a candidate's options together; nil where it does.
  func refusal(of candidate: Candidate) throws(DFMergeError) -> String? {
    do throws(DFMergeError) {
      _ = try searched?.methods(table(of: candidate), groups: groups.assignment)
      return nil
    } catch  where error.code == .invalidOption {
      return error.message
    }
  }

  /// Merges into the target. The host hears of it about fifty times a second: for a binding, that
  /// is also where its signals are handled, and a merge of a large model takes seconds.
  private func write(
    _ methods: MethodSet, _ fishers: [MergeExecutor.FisherLookup], _ host: any SearchHost
  ) throws(DFMergeError) {
    let interval = 0.02
    // What a method works in may depend on its options.
    let executor =
      searched == nil
      ? executor
      : try MergeExecutor(
        plan: plan, target: target, methods: methods, threads: options.threads,
        completed: completed, groups: groups.assignment,
        nonFiniteRemedy: options.nonFiniteRemedy)
    let total = executor.resources.bytesWritten &* executor.resources.passes
    let before = completed.value
    var next = SearchClock.now() + interval
    try executor.run(methods, fishers: fishers) { () throws(DFMergeError) in
      try poll()
      guard SearchClock.now() >= next else { return }
      let done = min(completed.value - before, total)
      guard
        try host.progress(
          ProgressEvent(phase: .merge, done: done, total: total, best: bestValue))
      else { throw Search.stopped }
      next = SearchClock.now() + interval
    }
  }

  /// Puts one scaled model into the target and lets the host measure its Fisher there.
  /// - Parameter places: one coefficient per group.
  private func measure(
    _ model: Int, _ places: [Double], _ buffer: FisherBuffer, _ host: any SearchHost
  ) throws(DFMergeError) {
    let start = SearchClock.now()
    let scaled = ScaledModel(model: model, coefficients: places)
    try write(MethodSet(scaled), [], host)
    let written = SearchClock.now()
    clock.trial.merge += written - start
    defer {
      let seconds = SearchClock.now() - written
      clock.trial.fisher += seconds
      clock.callbacks += seconds
    }
    let request = FisherRequest(model: model, coefficients: places, buffer: buffer)
    defer { request.close() }
    try host.measureFisher(request)
    // Candidates that are applied beside the trials may need more than those do.
    let done = store.measured + 1
    guard
      try host.progress(
        ProgressEvent(
          phase: .fisher, done: done, total: max(done, fisherTotal), best: bestValue))
    else { throw Search.stopped }
  }

  /// An upper bound on the number of Fisher measurements of the trials, for progress.
  private var fisherTotal: Int {
    switch options.fisherMode {
    case .none: 0
    case .static: models.count
    case .interpolated: models.count * options.nodes
    // Where each trial may end after its first stage, there are more of them.
    case .dynamic:
      models.count * (Int(min(Double(options.trials) / (options.subsetShare ?? 1), 1e9)) + 1)
    }
  }

  /// What a merge by the searched method takes to give this candidate; nil for DF-Merge, whose
  /// Fisher values no option holds, and where tensors' groups have values of their own.
  func mergeOptions(of candidate: Candidate) -> JSONValue? {
    if options.strategy == .greedySoup {
      // Weights of 1 are normalised to the very numbers that the candidate was merged with.
      let weights = zip(models, candidate.coefficients).map { ($0, JSONValue.int($1 > 0 ? 1 : 0)) }
      return .object(["weights": .object(Dictionary(weights) { first, _ in first })])
    }
    guard groups.count == 1 else { return nil }
    return searched?.json(candidate.coefficients)
  }

  func poll() throws(DFMergeError) {
    if cancelled() || stopped() { throw Search.stopped }
  }

  static var stopped: DFMergeError {
    DFMergeError(
      .cancelled, "The search was stopped; run it again with the same journal to continue.")
  }

  /// The best score so far: of the trials that keep all floors, while there are any.
  public var bestValue: Double? {
    let complete = trials.filter(\.isComplete)
    let feasible = complete.filter { options.objective.violation($0.scores) == 0 }
    return (feasible.isEmpty ? complete : feasible).compactMap(\.value).max()
  }
}

/// base + c (model - base) for one model of several.
private struct ScaledModel: MergeMethod {
  static let info = MethodInfo(
    id: "scaled_model", title: "One scaled model", formula: "theta0 + c (theta_m - theta0)",
    summary: "Where a search measures a model's Fisher.", source: "arXiv 2504.18992",
    needsBase: true, needsFisher: false, options: [])

  let model: Int
  /// One per group of tensors.
  let coefficients: [Double]

  init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    self.init(model: 0, coefficients: [1])
  }

  init(model: Int, coefficients: [Double]) {
    self.model = model
    self.coefficients = coefficients
  }

  func merge(_ tile: MergeTile) -> StoreOutcome {
    guard let base = tile.base else { return StoreOutcome() }
    return Kernels.taskVectorSum(
      into: tile.out, base: base, models: [tile.models[model]],
      coefficients: [coefficients[coefficients.count == 1 ? 0 : tile.group]], count: tile.count)
  }
}
