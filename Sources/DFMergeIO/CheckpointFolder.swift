import DFMergeCore

/// The weights of a Hugging Face checkpoint folder.
///
/// Reads `model.safetensors` or, where that is missing, the shards that
/// `model.safetensors.index.json` names: the order in which transformers looks for them. The index
/// is checked against the shards: every name lies in the shard that the index says and in no other,
/// and no shard holds a tensor that the index leaves out. `tensors` is in the order of the shards'
/// file names, within a shard in the order of its data. ``SafetensorsFile`` says what may happen to
/// the files while they are open. Symbolic links are followed, as the Hugging Face cache consists
/// of them. Each shard keeps one descriptor open: a merge of 4 models and their base with 200
/// shards each needs `ulimit -n` above 1000.
///
/// Source: the folder layout of huggingface_hub and transformers.
public final class CheckpointFolder: WeightSource {
  /// The folder, as it was given.
  public let path: String
  public let tensors: [TensorView]
  /// The files, in the order of their names.
  public let files: [SafetensorsFile]
  private let index: [String: Int]

  public var label: String { path }

  /// The `__metadata__` of the first file.
  public var metadata: [String: String] { files.first?.metadata ?? [:] }

  /// Opens and checks a folder. Reads the index and the headers of all shards.
  /// - Throws: `.fileNotFound` for a folder without weights or a missing shard; `.unsupported` for
  ///   a folder that holds other weights only; `.invalidFormat` for an index that does not fit its
  ///   shards; `.ioFailure` for a folder that is being saved; and what
  ///   ``SafetensorsFile/init(path:)`` throws.
  public convenience init(path: String) throws(DFMergeError) {
    try self.init(path: path, access: .mapped)
  }

  /// ``init(path:)`` with a choice of access to all files.
  package init(path: String, access: SafetensorsFile.Access) throws(DFMergeError) {
    try checkPath(path)
    let single = Folder.join(path, CheckpointNames.single)
    let indexPath = Folder.join(path, CheckpointNames.index)
    if FileKind.of(single, followingLinks: false) != nil {
      files = [try SafetensorsFile(path: single, access: access)]
    } else if FileKind.of(indexPath, followingLinks: false) != nil {
      files = try CheckpointFolder.openShards(
        folder: path, indexPath: indexPath, access: access)
    } else {
      throw try CheckpointFolder.noWeights(in: path)
    }
    self.path = path
    tensors = files.flatMap(\.tensors)
    var index: [String: Int] = [:]
    index.reserveCapacity(tensors.count)
    for (position, tensor) in tensors.enumerated() { index[tensor.name] = position }
    self.index = index
  }

  public func tensor(named name: String) -> TensorView? { index[name].map { tensors[$0] } }

  private static func openShards(
    folder: String, indexPath: String, access: SafetensorsFile.Access
  ) throws(DFMergeError) -> [SafetensorsFile] {
    let index = try CheckpointIndex(path: indexPath)
    let map = index.weightMap
    let names = Set(map.values).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    var files: [SafetensorsFile] = []
    for name in names {
      files.append(try SafetensorsFile(path: Folder.join(folder, name), access: access))
    }

    // A save over this folder removes the index before it touches a shard. With the index still in
    // place, all shards are the ones that it was written for.
    let isInPlace = withExtendedLifetime(index.file) {
      FileIdentity.of(indexPath) == index.file.identity
    }
    guard isInPlace else {
      throw DFMergeError(
        .ioFailure, "\(folder) is being saved by another program; open it when that is done.",
        context: ["path": folder])
    }

    func failure(_ fact: String, tensors: [String]) -> DFMergeError {
      DFMergeError(
        .invalidFormat, "\(fact): \(quotedList(tensors)). Save the checkpoint again.",
        context: ["path": indexPath, "tensor": tensors.first ?? ""])
    }
    for (name, file) in zip(names, files) {
      let unlisted = file.tensors.map(\.name).filter { map[$0] == nil }
      guard unlisted.isEmpty else {
        throw failure(
          "\(file.path) holds tensors that \(indexPath) does not list", tensors: unlisted)
      }
      let elsewhere = file.tensors.map(\.name).filter { map[$0] != name }
      guard elsewhere.isEmpty else {
        throw failure(
          "\(file.path) holds tensors that \(indexPath) places in another shard",
          tensors: elsewhere)
      }
    }
    let present = Set(files.flatMap { $0.tensors.map(\.name) })
    let missing = map.keys.filter { !present.contains($0) }
    guard missing.isEmpty else {
      throw failure(
        "\(indexPath) lists tensors that their shards do not hold", tensors: missing.sorted())
    }
    return files
  }

  /// Why a folder has no weights to read: what it holds instead decides the remedy.
  private static func noWeights(in path: String) throws(DFMergeError) -> DFMergeError {
    let names = try Folder.names(in: path)
    func failure(_ code: DFMergeError.Code, _ fact: String) -> DFMergeError {
      DFMergeError(code, "\(path) \(fact)", context: ["path": path])
    }
    if let pickle = names.first(where: { $0.hasPrefix("pytorch_model") && $0.contains(".bin") }) {
      return failure(
        .unsupported,
        "holds \(quoted(pickle)) but no safetensors weights. Convert it: in Python, "
          + "AutoModel.from_pretrained(folder).save_pretrained(new_folder), with the model class "
          + "that the weights belong to.")
    }
    if names.contains(CheckpointNames.adapter) {
      return failure(
        .unsupported,
        "holds an adapter without its \(CheckpointNames.adapterConfig). Restore that file, or open "
          + "\(CheckpointNames.adapter) itself.")
    }
    let others = names.filter { $0.hasSuffix(".safetensors") }
    guard others.isEmpty else {
      return failure(
        .fileNotFound,
        "has neither \(CheckpointNames.single) nor \(CheckpointNames.index), only "
          + "\(quotedList(others)). Pass the path of a single file, or restore the index.")
    }
    return failure(
      .fileNotFound,
      "has neither \(CheckpointNames.single) nor \(CheckpointNames.index); pass the folder that "
        + "holds the weights.")
  }
}
