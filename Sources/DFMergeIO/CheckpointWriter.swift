import DFMergeCore
import Glibc

/// Writes a Hugging Face checkpoint folder: `model.safetensors`, or shards and their index.
///
/// Name all tensors at the start, append the bytes of each in any number of pieces, then call
/// ``finish(poll:)``. Tensors are dealt to shards greedily in the given order: a shard is closed
/// when the next tensor would exceed the limit, and a tensor above the limit gets its own.
/// Appending in the given order keeps few files open; other orders work. Memory: the names only.
///
/// **Two saves are never mixed.** Everything is written to hidden temporary files first; `finish`
/// gives them their names, the index last, and then removes what an older save left: other shards
/// (`model-*-of-*.safetensors`), its index, and `model.safetensors` where the new save has shards.
/// Where new shards take the names of old ones, the old index goes first: for that moment, and
/// after a loss of power in it, the folder has no checkpoint rather than a mixed one, and a
/// ``CheckpointFolder`` that is being opened meanwhile throws. Other files in the folder are not
/// touched. On any error before `finish` renames, and when the writer goes away unfinished, the
/// folder is as it was.
///
/// With a base folder, its other files go along: all at its top except weights, indexes and hidden
/// files, and the module folders of sentence-transformers (`1_Pooling`, ...) whole. Files of the
/// same name are replaced. Used by one thread at a time, `write` inside the package excepted.
public final class CheckpointWriter: @unchecked Sendable {
  // Sendable: `monitor` guards what `write` changes; the rest is for one thread at a time, as the
  // documentation says.

  /// The folder to write to.
  public let folder: String
  /// The weight files in order; the index is not among them.
  public let fileNames: [String]
  let plan: ShardPlan
  let shardOfTensor: [String: Int]
  /// Of each announced tensor: its shard and its place among the shard's tensors.
  let places: [(shard: Int, position: Int)]
  let metadata: [String: String]
  let base: String?
  var writers: [SafetensorsWriter?]
  var staged: [AtomicFile] = []
  var madeFolders: [String]
  private var isFinished = false
  let monitor = Monitor()
  var blockWriter: BlockWriter?
  var extraFiles: [(name: String, contents: [UInt8])] = []
  var configDType: DType?
  /// Whether the weights are an adapter's; a model's files in the folder are then not an older save.
  private(set) var isAdapter = false

  /// Starts a checkpoint; makes the folder, and those above it, where they are missing.
  /// - Parameters:
  ///   - tensors: every tensor, in the order in which they are dealt to shards.
  ///   - shardSize: the most bytes of data in one file.
  ///   - metadata: text for every file's `__metadata__`, over `"format": "pt"`.
  ///   - base: a checkpoint folder whose other files are copied; nil for weights only.
  /// - Throws: `.invalidArgument` for repeated names; `.fileNotFound` for a missing base;
  ///   `.ioFailure`.
  public convenience init(
    folder: String, tensors: [TensorSpec], shardSize: ShardSize = .standard,
    metadata: [String: String] = [:], copyingFilesFrom base: String? = nil
  ) throws(DFMergeError) {
    try self.init(
      folder: folder, plan: try ShardPlan(tensors, limit: shardSize), tensors: tensors,
      metadata: metadata, base: base)
  }

  /// Starts the folder of a peft adapter: `adapter_model.safetensors`, one file whatever its size,
  /// for that is what peft reads. Its `adapter_config.json` is the base's unless one is added.
  /// - Throws: as the other initialiser; `.invalidArgument` for a folder with a model's weights, which
  ///   would hide the adapter.
  package convenience init(
    adapter folder: String, tensors: [TensorSpec], metadata: [String: String],
    copyingFilesFrom base: String?
  ) throws(DFMergeError) {
    for name in [CheckpointNames.single, CheckpointNames.index]
    where FileKind.of(Folder.join(folder, name), followingLinks: false) != nil {
      throw DFMergeError(
        .invalidArgument,
        "\(folder) holds a model's weights (\(name)), beside which an adapter would not be found; "
          + "choose a folder for the adapter alone.", context: ["path": folder])
    }
    let plan = try ShardPlan(
      tensors, limit: try ShardSize(bytes: Int.max), name: CheckpointNames.adapter)
    try self.init(folder: folder, plan: plan, tensors: tensors, metadata: metadata, base: base)
    isAdapter = true
  }

  private init(
    folder: String, plan: ShardPlan, tensors: [TensorSpec], metadata: [String: String],
    base: String?
  ) throws(DFMergeError) {
    self.plan = plan
    if let base {
      try checkPath(base)
      guard FileKind.of(base) == .folder else {
        throw DFMergeError(
          .fileNotFound, "\(base) is not a folder to copy files from; pass a checkpoint folder.",
          context: ["path": base])
      }
    }
    var shardOfTensor: [String: Int] = [:]
    for (position, shard) in plan.shards.enumerated() {
      for tensor in shard.tensors { shardOfTensor[tensor.name] = position }
    }
    var counts = Array(repeating: 0, count: plan.shards.count)
    // A shard keeps the given order of its tensors.
    places = tensors.map { tensor in
      let shard = shardOfTensor[tensor.name, default: 0]
      counts[shard] += 1
      return (shard, counts[shard] - 1)
    }
    self.folder = folder
    self.shardOfTensor = shardOfTensor
    self.metadata = metadata
    self.base = base
    fileNames = plan.shards.map(\.fileName)
    writers = Array(repeating: nil, count: plan.shards.count)
    madeFolders = try Folder.make(folder)
    try Folder.checkSpace(plan.totalByteCount, in: folder)
  }

  deinit {
    guard !isFinished else { return }
    // The temporary files go first: a folder can only be removed empty.
    writers = []
    staged = []
    for made in madeFolders.reversed() { rmdir(made) }
  }

  /// Appends the next bytes of the tensor called `name`.
  /// - Parameter poll: called before every block of 8 MiB; what it throws ends the call.
  /// - Throws: as ``SafetensorsWriter/append(_:to:poll:)``.
  public func append(
    _ bytes: UnsafeRawBufferPointer, to name: String, poll: () throws(DFMergeError) -> Void = {}
  ) throws(DFMergeError) {
    guard let shard = shardOfTensor[name] else {
      throw DFMergeError(
        .missingTensor,
        "\(folder) was started without a tensor \(quoted(name)); announce it first.",
        context: ["tensor": name, "path": folder])
    }
    let writer = try self.writer(ofShard: shard)
    try writer.append(bytes, to: name, poll: poll)
    // A full shard gives its descriptor back: a large model has more shards than a process files.
    if writer.isComplete { try writer.seal() }
  }

  /// Makes everything durable, gives the files their names, and removes an older save.
  /// - Parameter poll: called before each file is completed, and not once names change.
  /// - Throws: `.invalidState` when a tensor lacks bytes; `.ioFailure`.
  public func finish(poll: () throws(DFMergeError) -> Void = {}) throws(DFMergeError) {
    guard !isFinished else { return }
    for shard in plan.shards.indices {
      try poll()
      try writer(ofShard: shard).seal()
    }
    blockWriter?.stop()
    blockWriter = nil
    let index = try stageIndex()
    try stageCompanions(poll: poll)
    try poll()

    let indexPath = Folder.join(folder, CheckpointNames.index)
    let names = try Folder.names(in: folder)
    if plan.isSharded, !Set(fileNames).isDisjoint(with: names) {
      try Folder.removeFile(indexPath)
      try Folder.synchronize(folder)
    }
    for file in staged { try file.publish() }
    for writer in writers { try writer?.publish() }
    try index?.publish()
    isFinished = true
    try Folder.synchronize(folder)
    try removeOlderSave(names)
  }

  /// Writes `tensors` to `folder`.
  ///
  /// Time: one pass over the bytes and one `fsync` per file.
  /// - Returns: the names of the weight files, in order.
  /// - Throws: as the initialiser, ``append(_:to:poll:)`` and ``finish(poll:)``.
  @discardableResult
  public static func write(
    _ tensors: [TensorView], toFolder folder: String, shardSize: ShardSize = .standard,
    metadata: [String: String] = [:], copyingFilesFrom base: String? = nil,
    poll: () throws(DFMergeError) -> Void = {}
  ) throws(DFMergeError) -> [String] {
    let writer = try CheckpointWriter(
      folder: folder, tensors: tensors.map(TensorSpec.init), shardSize: shardSize,
      metadata: metadata, copyingFilesFrom: base)
    for tensor in tensors { try writer.append(tensor.bytes, to: tensor.name, poll: poll) }
    try writer.finish(poll: poll)
    return writer.fileNames
  }
}
