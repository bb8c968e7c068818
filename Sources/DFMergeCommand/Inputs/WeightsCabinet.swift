import DFMergeCore
import DFMergeEngine
import DFMergeIO
import DFMergeRecipes

/// Opens the inputs of merges, each file once, and makes the merges.
final class WeightsCabinet {
  private var open: [String: any WeightSource] = [:]
  /// What earlier steps made, or would make, by name.
  private var results: [String: any WeightSource] = [:]
  /// What the user should know of the inputs, in sentences.
  private(set) var notes: [String] = []

  /// Weights at a path or in the Hugging Face cache, read piece by piece.
  static func weights(at path: String) throws(DFMergeError) -> any WeightSource {
    let place = ModelPlace.parsed(path)
    return try Checkpoint.open(
      ModelPlace.resolved(place.path, revision: place.revision), access: .pieces)
  }

  /// Says what a step's name stands for in those after it.
  /// - Parameter recipe: how it was made, where that is known.
  func keep(_ result: any WeightSource, as name: String, recipe: JSONValue? = nil) {
    results[name] = LabelledWeights(
      result, label: name, steps: WeightsCabinet.steps(name, recipe: recipe))
  }

  /// The recipe of a result and those before it, which it lists.
  private static func steps(_ name: String, recipe: JSONValue?) -> [JSONValue] {
    guard var members = recipe?.objectValue else { return [] }
    let earlier = members.removeValue(forKey: "steps")?.arrayValue ?? []
    // What all of them have in common stands in the last one.
    for common in ["format", "format_version", "library_version"] { members[common] = nil }
    members["name"] = .string(name)
    return earlier + [.object(members)]
  }

  /// The merge of a step, its inputs opened.
  /// - Throws: what opening throws; `.invalidArgument` for models with another number of layers than
  ///   the recipe says; as ``/DFMergeEngine/Merge``.
  func merge(_ step: MergeStep) throws(DFMergeError) -> Merge {
    let inputs = try opened(step)
    do throws(DFMergeError) {
      return try Merge(
        step.method, options: .object(step.options), base: inputs.base, models: inputs.models,
        fishers: inputs.fishers, settings: .object(step.settings))
    } catch {
      throw step.located(error)
    }
  }

  /// The inputs of a step, in its order.
  func opened(
    _ step: MergeStep
  ) throws(DFMergeError) -> (
    base: (any WeightSource)?, models: [any WeightSource], fishers: [any WeightSource]
  ) {
    var base: (any WeightSource)?
    if let input = step.base { base = try weights(input) }
    var models: [any WeightSource] = []
    for input in step.models { models.append(try weights(input)) }
    var fishers: [any WeightSource] = []
    for input in step.fishers { fishers.append(try weights(input)) }
    if let claim = step.layers {
      for source in (base.map { [$0] } ?? []) + models { try check(claim, source) }
    }
    return (base, models, fishers)
  }

  /// Checksums of a step's inputs, which change when a checkpoint does.
  func fingerprints(_ step: MergeStep) throws(DFMergeError) -> [JSONValue] {
    let inputs = try opened(step)
    var found: [JSONValue] = []
    for source in (inputs.base.map { [$0] } ?? []) + inputs.models + inputs.fishers {
      let bare = (source as? LabelledWeights)?.source ?? source
      found.append(try InputFingerprint.of(bare)?.json ?? .null)
    }
    return found
  }

  private func weights(_ input: MergeInput) throws(DFMergeError) -> any WeightSource {
    switch input.place {
    case .step(let name):
      guard let source = results[name] else {
        throw DFMergeError(
          .internalError, "The merge '\(name)' is used before it was made; please report this.")
      }
      return LabelledWeights(source, label: input.label)
    case .path(let path, let revision):
      let place = try ModelPlace.resolved(path, revision: revision)
      let source: any WeightSource
      if let known = open[place] {
        source = known
      } else {
        source = try Checkpoint.open(place, access: .pieces)
        open[place] = source
      }
      if let recorded = input.fingerprint {
        let found = try InputFingerprint.of(source)?.json
        if let found, found != recorded {
          notes.append(
            "\(input.label) is not the checkpoint that the recipe was made with (another "
              + "fingerprint), so the result will differ.")
        }
      }
      return LabelledWeights(source, label: input.label)
    }
  }

  /// A slice of so many layers is a whole model, or something that is not done here.
  private func check(
    _ claim: MergeStep.LayerClaim, _ source: any WeightSource
  ) throws(DFMergeError) {
    var counts: [String: Int] = [:]
    for tensor in source.tensors {
      guard let layer = TensorName.layer(of: tensor.name) else { continue }
      counts[layer.stack] = max(counts[layer.stack] ?? 0, layer.number &+ 1)
    }
    guard !counts.values.contains(claim.count) else { return }
    let found = counts.values.max() ?? 0
    throw DFMergeError(
      .invalidArgument,
      "\(claim.place): the slice has \(claim.count) layers, and \(source.label) has \(found); only "
        + "whole models are merged. Write layer_range [0, \(found)], or use 'models'.",
      context: ["path": source.label])
  }
}
