import DFMergeCore
import DFMergeKernels

/// Elect, mask and rescale: one task vector for all models, and a mask and a number for each.
package struct EMR: MergeMethod {
  package static let info = MethodInfo(
    id: "emr",
    title: "EMR-Merging",
    formula:
      "g = 1 where sum(tau_m) > 0, else -1;  u = g max(|tau_m| over tau_m g > 0);  "
      + "B_m = [tau_m u > 0];  lambda_m = |tau_m| / |B_m u|;  theta = theta0 + lambda_t B_t u",
    summary:
      "Keeps one vector of changes for all tasks, and for each task one bit per parameter and one "
      + "number, by which its model comes back nearly as it was. Option task makes the model of one "
      + "task; option compact writes vector, bits and numbers into a checkpoint of "
      + "32 N + M N bits, from which the same method makes each task's model later, with the base "
      + "and that checkpoint as the only model. Without a task the result is theta0 + u, which is "
      + "no task's model. The compact checkpoint is no model that other programs can load.",
    source:
      "Huang et al. 2024 (arXiv 2405.17461), authors' code: a sum of 0 counts as negative; |v| is "
      + "the sum over the tensors of their mean |v|, so that a bias counts as much as a matrix. "
      + "scaler 'sums' is the paper: the sum over all elements. Deviations: tau in double, signs "
      + "summed apart; a lambda of 0/0 or without a common element is 1; one model is returned as "
      + "it is. A compact checkpoint holds u in the type of the output.",
    needsBase: true, needsFisher: false, addsTensors: true,
    options: [
      OptionSchema(
        "task",
        .structured(
          "the name of a model or its number from 0; the name of a compact checkpoint's task"),
        default: .null, varies: false, "The task whose model is made."),
      OptionSchema(
        "compact", .flag, default: .bool(false), varies: false,
        "Write the vector in place of the weights, and beside it bits and numbers for each model."),
      OptionSchema(
        "scaler", .choice(["tensor_means", "sums"]), default: .string("tensor_means"),
        varies: false,
        "The length of changes: the authors' code's, the sum over tensors of their mean size, or "
          + "the paper's, the sum of all sizes."),
    ])

  private let modelCount: Int
  /// Nil for none.
  private let task: Int?
  private let isCompact: Bool
  private let averagesTensors: Bool

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    self.modelCount = modelCount
    isCompact = try options.flag("compact")
    averagesTensors = options.word("scaler") != "sums"
    // The tasks of a compact checkpoint are known later.
    let isGiven = options.values["task"] != .null
    task = isGiven ? modelCount == 1 ? 0 : options.model("task") : nil
    guard !isGiven || task != nil else { throw EMR.unknown(options) }
  }

  package var statistics: [ModelStatistic] {
    modelCount > 1 && (isCompact || task != nil) ? [.sums(request)] : []
  }

  private var request: SumsRequest {
    SumsRequest("sizes", count: 2 * modelCount, scope: .model)
  }

  package func sums(_ tile: InputTile, _ request: SumsRequest) throws(DFMergeError) -> [Double] {
    guard let base = tile.base else { return [] }
    let found = Kernels.unifiedSums(base: base, models: tile.models, count: tile.count)
    let elements = Double(max(tile.shape.elementCount, 1))
    return averagesTensors ? found.map { $0 / elements } : found
  }

  /// lambda of each model.
  private func scalers(_ statistics: [ModelStatistic: [Double]]) -> [Double] {
    let sums = statistics[.sums(request)] ?? []
    return (0..<modelCount).map { model in
      guard sums.count == 2 * modelCount, sums[modelCount + model] != 0 else { return 1 }
      return sums[model] / sums[modelCount + model]
    }
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    guard let base = tile.base else { return StoreOutcome() }
    if isCompact {
      return Kernels.unifiedTaskVector(
        into: tile.out, bits: tile.bitsOut, base: base, models: tile.models, count: tile.count)
    }
    if let stored = tile.numbers.values.first {
      let scaler = task == nil ? 1 : stored.first ?? 1
      return Kernels.maskedTaskVector(
        into: tile.out, base: base, vector: tile.models[0], bits: tile.bits.first, factor: scaler,
        count: tile.count)
    }
    if modelCount == 1 {
      return Kernels.convert(into: tile.out, tile.models[0], count: tile.count)
    }
    guard let task else {
      let terms = tile.models.map { _ in TaskVectorTerm(factor: 1) }
      return Kernels.electedTaskVectors(
        into: tile.out, base: base, models: tile.models, terms: terms,
        election: SignElection(vote: .mass, aggregate: .largest, tie: .negative),
        count: tile.count)
    }
    return Kernels.unifiedTask(
      into: tile.out, base: base, models: tile.models, task: task,
      factor: scalers(tile.statistics)[task], count: tile.count)
  }
}

// The compact checkpoint: u under the tensors' names, "NAME.emr_mask.TASK" with the bits of each task
// and "emr_scaler.TASK" with its number.
extension EMR {
  private static let mask = ".emr_mask."
  private static let scaler = "emr_scaler."

  package static func sideTensors(
    _ options: OptionValues, models: [any WeightSource]
  ) throws(DFMergeError) -> SideTensors {
    var side = SideTensors()
    let task = options.values["task"] ?? .null
    let stored = models.count == 1 ? tasks(of: models[0]) : []
    if !stored.isEmpty {
      side.isKnown = { $0.contains(mask) || $0.hasPrefix(scaler) }
      guard try !options.flag("compact") else {
        throw DFMergeError(
          .invalidArgument,
          "\(models[0].label) is a compact checkpoint already; leave compact out, or give the "
            + "models themselves.", context: ["option": "compact"])
      }
      guard task != .null else {
        // That there are numbers tells the vector of a compact checkpoint from a model.
        try check(scaler + stored[0], of: models[0])
        side.numbersRead = [scaler + stored[0]]
        return side
      }
      // On a command line the name 0 is a number.
      guard let name = task.stringValue ?? task.intValue.map({ String($0) }), stored.contains(name)
      else {
        throw unknown(task, in: stored)
      }
      side.bitsRead = [mask + name]
      try check(scaler + name, of: models[0])
      side.numbersRead = [scaler + name]
      return side
    }
    guard task == .null || options.model("task") != nil else {
      throw unknown(task, in: models.map(\.label))
    }
    guard try options.flag("compact") else { return side }
    let names = models.map(\.label)
    guard Set(names).count == names.count else {
      throw DFMergeError(
        .invalidArgument,
        "Two models have the same name, and a compact checkpoint keeps tasks by name; give each "
          + "its own: \(names.joined(separator: ", ")).", context: ["option": "compact"])
    }
    guard task == .null else {
      throw DFMergeError(
        .invalidOption,
        "Method 'emr' was given both a task and compact; leave one of them out.",
        context: ["option": "task"])
    }
    side.bitsWritten = names.map { mask + $0 }
    side.numbersWritten = names.map { (scaler + $0, 1) }
    side.isModel = false
    return side
  }

  /// Refuses what is no number of a task; what is missing or no float is found with the others.
  private static func check(
    _ name: String, of store: any WeightSource
  ) throws(DFMergeError) {
    guard let view = store.tensor(named: name), view.dtype.isMergeable else { return }
    let isOne = view.shape.elementCount == 1
    let values = isOne ? try view.doubles() : []
    guard let value = values.first, value >= 0, value.isFinite else {
      throw DFMergeError(
        .invalidFormat,
        "'\(name)' of \(store.label) is \(isOne ? "\(values[0])" : "\(view.shape)"), where a compact "
          + "checkpoint has one finite number of 0 or more; write it again with compact, from models "
          + "that are finite.", context: ["tensor": name])
    }
  }

  package func numbers(_ statistics: [ModelStatistic: [Double]]) -> [[Double]] {
    isCompact ? scalers(statistics).map { [$0] } : []
  }

  /// The tasks of a compact checkpoint, by name, for files have an order of their own; none for models.
  private static func tasks(of model: any WeightSource) -> [String] {
    let found = model.tensors.compactMap { tensor in
      tensor.name.hasPrefix(scaler) ? String(tensor.name.dropFirst(scaler.count)) : nil
    }
    return found.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  private static func unknown(_ options: OptionValues) -> DFMergeError {
    unknown(options.values["task"] ?? .null, in: options.modelNames)
  }

  private static func unknown(_ task: JSONValue, in names: [String]) -> DFMergeError {
    DFMergeError(
      .invalidOption,
      "Option 'task' of method 'emr' is \(task.shown); there are: \(names.joined(separator: ", ")).",
      context: ["option": "task"])
  }
}
