import DFMergeCore

/// The `__metadata__` of a base that also holds for weights merged onto it.
package enum CarriedMetadata {
  /// `format`, and the ties of the base whose two ends are as they were.
  ///
  /// safetensors' `save_model` leaves out a tensor that shares memory with another and writes
  /// `{left out: kept}` instead. Such a pair is carried over when the kept tensor is written and
  /// the other one is not. Anything else that a base says of itself - a date, a training loss - is
  /// not true of a merge, and stays behind. Of several files, the first that has a key counts.
  /// - Parameter names: the tensors that will be written.
  package static func from(
    _ base: any WeightSource, writing names: some Sequence<String>
  ) -> [String: String] {
    let files: [SafetensorsFile]
    switch base {
    case let folder as CheckpointFolder: files = folder.files
    case let file as SafetensorsFile: files = [file]
    case let adapter as AdapterFolder: files = [adapter.file]
    default: return [:]
    }
    let written = Set(names)
    var carried: [String: String] = [:]
    for file in files {
      for (key, value) in file.metadata where carried[key] == nil {
        let isTie =
          written.contains(value) && !written.contains(key)
          && base.tensor(named: value) != nil && base.tensor(named: key) == nil
        if key == "format" || isTie { carried[key] = value }
      }
    }
    return carried
  }
}
