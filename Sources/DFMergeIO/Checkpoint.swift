import DFMergeCore

/// Opens weights on disk, whichever way they are kept.
public enum Checkpoint {
  /// The weights at `path`: a Hugging Face folder as a ``CheckpointFolder``, a `.safetensors` file
  /// as a ``SafetensorsFile``.
  ///
  /// Only headers are read; the cost does not depend on the size of the weights.
  /// - Throws: what the two types throw; `.unsupported` for the path of a shard index, because the
  ///   folder around it is the checkpoint.
  public static func open(_ path: String) throws(DFMergeError) -> any WeightSource {
    try open(path, access: .mapped)
  }

  /// ``open(_:)`` with a choice of access; `.pieces` for merges from files to files.
  package static func open(
    _ path: String, access: SafetensorsFile.Access
  ) throws(DFMergeError) -> any WeightSource {
    try checkPath(path)
    if FileKind.of(path) == .folder { return try CheckpointFolder(path: path, access: access) }
    guard !path.hasSuffix(".index.json") else {
      throw DFMergeError(
        .unsupported, "\(path) is the index of a checkpoint; pass its folder.",
        context: ["path": path])
    }
    return try SafetensorsFile(path: path, access: access)
  }
}

extension SafetensorsFile {
  public var location: String? { path }
}

extension CheckpointFolder {
  public var location: String? { path }
}
