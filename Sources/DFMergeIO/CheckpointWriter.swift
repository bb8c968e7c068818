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
  private let plan: ShardPlan
  private let shardOfTensor: [String: Int]
  /// Of each announced tensor: its shard and its place among the shard's tensors.
  private let places: [(shard: Int, position: Int)]
  private let metadata: [String: String]
  private let base: String?
  private var writers: [SafetensorsWriter?]
  private var staged: [AtomicFile] = []
  private var madeFolders: [String]
  private var isFinished = false
  private let monitor = Monitor()
  private var blockWriter: BlockWriter?
  private var extraFiles: [(name: String, contents: [UInt8])] = []
  private var configDType: DType?

  /// Starts a checkpoint; makes the folder, and those above it, where they are missing.
  /// - Parameters:
  ///   - tensors: every tensor, in the order in which they are dealt to shards.
  ///   - shardSize: the most bytes of data in one file.
  ///   - metadata: text for every file's `__metadata__`, over `"format": "pt"`.
  ///   - base: a checkpoint folder whose other files are copied; nil for weights only.
  /// - Throws: `.invalidArgument` for repeated names; `.fileNotFound` for a missing base;
  ///   `.ioFailure`.
  public init(
    folder: String, tensors: [TensorSpec], shardSize: ShardSize = .standard,
    metadata: [String: String] = [:], copyingFilesFrom base: String? = nil
  ) throws(DFMergeError) {
    plan = try ShardPlan(tensors, limit: shardSize)
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

  /// Writes the bytes from `offset` on of a tensor, from any thread, in any order.
  ///
  /// As ``SafetensorsWriter/write(_:tensor:at:)``. A shard has two descriptors open from its first
  /// byte until its last is on the disk; pieces in the order of the tensors keep few shards open,
  /// and at worst 200 shards take 400 (`ulimit -n`).
  /// - Parameter tensor: its place in the list that the writer was started with.
  package func write(
    _ bytes: UnsafeRawBufferPointer, tensor: Int, at offset: Int
  ) throws(DFMergeError) {
    guard places.indices.contains(tensor) else {
      throw DFMergeError(
        .invalidArgument,
        "\(folder) was started with \(places.count) tensors; there is none at place \(tensor).",
        context: ["path": folder])
    }
    let place = places[tensor]
    let writer = try monitor.locked { () throws(DFMergeError) -> SafetensorsWriter in
      try self.writer(ofShard: place.shard)
    }
    try writer.write(bytes, tensor: place.position, at: offset) {
      () throws(DFMergeError) -> BlockWriter in
      try monitor.locked { () throws(DFMergeError) -> BlockWriter in
        if let blockWriter { return blockWriter }
        let shared = try BlockWriter()
        blockWriter = shared
        return shared
      }
    }
  }

  /// The memory that `write` takes for all shards together, in bytes.
  package static var stagingByteCount: Int { BlockWriter.memoryByteCount }

  /// Adds a file to the folder: it comes and goes with the weights, in place of the base's file of
  /// the same name.
  /// - Throws: `.invalidArgument` for a name with a folder in it, or one of weights.
  package func add(_ contents: [UInt8], as name: String) throws(DFMergeError) {
    guard !name.isEmpty, !name.hasPrefix("."), !name.contains("/"), !name.utf8.contains(0),
      CheckpointCompanions.isCompanion(name)
    else {
      throw DFMergeError(
        .invalidArgument,
        "\(quoted(name)) is no name for a file beside weights; use one like README.md.",
        context: ["path": folder])
    }
    extraFiles.removeAll { $0.name == name }
    extraFiles.append((name, contents))
  }

  /// Says that the weights are written as `dtype`, not the base's: its `config.json` goes along
  /// with that dtype. See ``ConfigText``.
  package func setConfigDType(_ dtype: DType) { configDType = dtype }

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

extension CheckpointWriter {
  private func writer(ofShard shard: Int) throws(DFMergeError) -> SafetensorsWriter {
    if let writer = writers[shard] { return writer }
    let part = plan.shards[shard]
    let writer = try SafetensorsWriter(
      path: Folder.join(folder, part.fileName), tensors: part.tensors, metadata: metadata)
    writers[shard] = writer
    return writer
  }

  private func stageIndex() throws(DFMergeError) -> AtomicFile? {
    guard plan.isSharded else { return nil }
    let text = CheckpointIndex.text(
      shardOfTensor: plan.fileNameOfTensor, totalByteCount: plan.totalByteCount)
    return try stage(Array(text.utf8), as: CheckpointNames.index)
  }

  private func stageCompanions(
    poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) {
    staged = []  // What an earlier `finish` staged before its `poll` threw.
    for file in extraFiles {
      try poll()
      staged.append(try stage(file.contents, as: file.name))
    }
    guard let base else { return }
    let isInPlace = FileIdentity.of(base) == FileIdentity.of(folder)
    let companions = try CheckpointCompanions(base: base)
    if !isInPlace {
      for name in companions.folders {
        madeFolders += try Folder.make(Folder.join(folder, name))
      }
    }
    for name in companions.relativePaths where !extraFiles.contains(where: { $0.name == name }) {
      try poll()
      if name == CheckpointNames.config, let configDType {
        let text = try InputFile(path: Folder.join(base, name)).readAll()
        staged.append(try stage(ConfigText.setting(configDType, in: text), as: name))
      } else if !isInPlace {
        staged.append(
          try CheckpointCompanions.stage(
            Folder.join(base, name), as: Folder.join(folder, name), poll: poll))
      }
    }
  }

  /// A durable file that still has to be published.
  private func stage(_ contents: [UInt8], as name: String) throws(DFMergeError) -> AtomicFile {
    let file = try AtomicFile(path: Folder.join(folder, name), byteCount: contents.count)
    try file.write(contents)
    try file.seal()
    return file
  }

  /// Removes the weight files of an older save that the new one did not replace. `names` are the
  /// folder's files before the new ones came.
  private func removeOlderSave(_ names: [String]) throws(DFMergeError) {
    let current = Set(fileNames)
    for name in names where !current.contains(name) {
      let isOld =
        CheckpointNames.isShard(name)
        || (plan.isSharded ? name == CheckpointNames.single : name == CheckpointNames.index)
      if isOld { try Folder.removeFile(Folder.join(folder, name)) }
    }
    try Folder.synchronize(folder)
  }
}
