import DFMergeCore

/// Opens and saves weights on disk, whichever way they are kept.
public enum Checkpoint {
  /// The weights at `path`: a Hugging Face folder as a ``CheckpointFolder``, the folder of a peft
  /// adapter as an ``AdapterFolder``, a `.safetensors` file as a ``SafetensorsFile``.
  ///
  /// Only headers are read; the cost does not depend on the size of the weights.
  /// - Throws: what these types throw; `.unsupported` for the path of a shard index, because the
  ///   folder around it is the checkpoint.
  public static func open(_ path: String) throws(DFMergeError) -> any WeightSource {
    try open(path, access: .mapped)
  }

  /// Writes `tensors` to `path`: one file where it ends in `.safetensors`, otherwise a Hugging Face
  /// folder, made where it is missing. Complete afterwards, or as it was before.
  ///
  /// Time: one pass over the bytes and one `fsync` per file; no memory beyond the headers.
  /// - Parameters:
  ///   - tensors: the weights, names unique. What a source opens, as `source.tensors`; a search's
  ///     target, as `target.map(TensorView.init)`.
  ///   - metadata: text for the files' `__metadata__`, over `"format": "pt"`.
  ///   - shardSize: folders: the most bytes per file. A file is never split.
  ///   - base: folders: the checkpoint folder whose other files (config, tokenizer) are copied.
  /// - Throws: `.invalidArgument` for a repeated name, a folder's option for a file or a path that
  ///   is none; `.fileNotFound`, `.ioFailure`.
  public static func save(
    _ tensors: [TensorView], to path: String, metadata: [String: String] = [:],
    shardSize: ShardSize? = nil, copyingFilesFrom base: String? = nil
  ) throws(DFMergeError) {
    try checkPath(path)
    guard path.hasSuffix(".safetensors") else {
      try CheckpointWriter.write(
        tensors, toFolder: path, shardSize: shardSize ?? .standard, metadata: metadata,
        copyingFilesFrom: base)
      return
    }
    guard shardSize == nil, base == nil else {
      throw DFMergeError(
        .invalidArgument,
        "\(path) is to be one file, which takes no shard size and no files from another folder; "
          + "leave them out, or save to a folder.", context: ["path": path])
    }
    try SafetensorsWriter.write(tensors, to: path, metadata: metadata)
  }

  /// ``open(_:)`` with a choice of access; `.pieces` for merges from files to files.
  package static func open(
    _ path: String, access: SafetensorsFile.Access
  ) throws(DFMergeError) -> any WeightSource {
    try checkPath(path)
    if FileKind.of(path) == .folder {
      if AdapterFolder.isAdapter(path) { return try AdapterFolder(path: path, access: access) }
      return try CheckpointFolder(path: path, access: access)
    }
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
