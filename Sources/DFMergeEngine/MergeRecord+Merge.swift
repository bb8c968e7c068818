import DFMergeCore
import DFMergeIO

extension MergeRecord {
  /// What `merge` is made of.
  /// - Throws: `.ioFailure` when an input cannot be read for its fingerprint.
  init(_ merge: Merge) throws(DFMergeError) {
    func input(_ source: any WeightSource) throws(DFMergeError) -> Input {
      let made = (source as? LabelledWeights)?.steps ?? []
      return Input(
        label: source.label, path: made.isEmpty ? source.location : nil,
        fingerprint: try InputFingerprint.of(OutputFiles.unlabelled(source)),
        step: made.last?["name"]?.stringValue)
    }
    let base = try merge.base.map { (source) throws(DFMergeError) in try input(source) }
    var models: [Input] = []
    for model in merge.models { models.append(try input(model)) }
    var fishers: [Input] = []
    for source in merge.fishers { fishers.append(try input(source)) }
    // Threads and memory change no result; the element type has a place of its own.
    var policies = merge.settings.json.objectValue ?? [:]
    for name in ["threads", "max_memory", "dtype", "copy_files", "estimate"] {
      policies[name] = nil
    }
    let chosen = policies.filter { name, value in
      value != MergeSettings.schema.first { $0.name == name }?.defaultValue
    }
    self.init(
      method: merge.method, title: merge.info.title, formula: merge.info.formula,
      options: merge.arithmetic.values, base: base, models: models,
      fishers: fishers, dtype: merge.settings.dtype, policies: chosen, seed: nil)
    for source in (merge.base.map { [$0] } ?? []) + merge.models + merge.fishers {
      for step in (source as? LabelledWeights)?.steps ?? []
      where !steps.contains(where: { $0["name"] == step["name"] }) {
        steps.append(step)
      }
    }
  }
}
