import DFMergeCore

/// Writes one `.safetensors` file, tensor by tensor, without holding more than the caller's bytes.
///
/// Name all tensors at the start, append the bytes of each in any number of pieces (tensors in any
/// order, the pieces of one tensor in theirs), then call ``finish(poll:)``. Inside the package,
/// `write(_:tensor:at:)` takes pieces by their place instead, from any thread. The file appears
/// complete or not at all: bytes go to a hidden temporary file in the same folder, which `finish`
/// makes durable and renames. An existing file is replaced in one step; a process that has it
/// mapped, this one included, keeps the old bytes, so saving over an input is safe. On any error,
/// and when the writer goes away unfinished, the temporary file is removed and an existing file
/// stays as it was.
///
/// Tensors stand by falling alignment of their dtype, then by name, and the header is padded to 8
/// bytes, as the reference writer does it: the same tensors and metadata give the same bytes.
/// Used by one thread at a time, `write` excepted.
public final class SafetensorsWriter: @unchecked Sendable {
  // Sendable: `monitor` guards what `write` changes; the rest is for one thread at a time, as the
  // documentation says.

  /// The path that the file will have.
  public let path: String
  /// The size that the file will have.
  public let byteCount: Int
  let layout: SafetensorsLayout
  let tensors: [TensorSpec]
  private let positions: [String: Int]
  /// The bytes that were given of each tensor.
  var written: [Int]
  var missingByteCount: Int
  let file: AtomicFile
  let monitor = Monitor()
  /// What writes by place, from the first such piece on.
  var blocks: (writer: BlockWriter, file: BlockFile)?

  /// Starts a file.
  /// - Parameters:
  ///   - tensors: every tensor that the file will hold.
  ///   - metadata: text for the header's `__metadata__`, over `"format": "pt"`, which is always
  ///     there because transformers refuses a file without it.
  /// - Throws: `.invalidArgument` for a repeated or reserved name or a header over 100 MB;
  ///   `.fileNotFound` for a missing folder; `.ioFailure`, also when the disk lacks the space.
  public init(
    path: String, tensors: [TensorSpec], metadata: [String: String] = [:]
  ) throws(DFMergeError) {
    let allMetadata = ["format": "pt"].merging(metadata) { _, given in given }
    layout = try SafetensorsLayout(tensors, metadata: allMetadata)
    self.path = path
    byteCount = layout.byteCount
    missingByteCount = layout.byteCount - layout.head.count
    self.tensors = tensors
    positions = Dictionary(uniqueKeysWithValues: tensors.enumerated().map { ($1.name, $0) })
    written = Array(repeating: 0, count: tensors.count)
    file = try AtomicFile(path: path, byteCount: layout.byteCount)
    try file.write(layout.head)
  }

  deinit {
    if let blocks { blocks.writer.abandon(blocks.file) }
    file.discard()
  }

  /// Appends the next bytes of the tensor called `name`.
  /// - Parameter poll: called before every block of 8 MiB; what it throws ends the call.
  /// - Throws: `.missingTensor` for a name that was not announced; `.invalidArgument` for more
  ///   bytes than the tensor has, so for any after `finish`; `.ioFailure`. After an error the same
  ///   bytes may be appended again.
  public func append(
    _ bytes: UnsafeRawBufferPointer, to name: String, poll: () throws(DFMergeError) -> Void = {}
  ) throws(DFMergeError) {
    guard let position = positions[name] else {
      throw DFMergeError(
        .missingTensor, "\(path) was started without a tensor \(quoted(name)); announce it first.",
        context: ["tensor": name, "path": path])
    }
    guard blocks == nil else {
      throw DFMergeError(
        .invalidState,
        "\(path) is being written by place; give all pieces in one way, by place or in order.",
        context: ["tensor": name, "path": path])
    }
    let done = written[position]
    try checkRoom(for: bytes.count, in: position)
    // A tensor without elements may be appended to a shard that is already complete and closed.
    guard !bytes.isEmpty else { return }
    try file.write(bytes, at: start(of: position) + done, poll: poll)
    written[position] = done + bytes.count
    missingByteCount -= bytes.count
  }

  /// Makes the file durable and gives it its name.
  /// - Parameter poll: called before and once the bytes are on the disk; what it throws ends the
  ///   call with nothing changed.
  /// - Throws: `.invalidState` when a tensor lacks bytes, naming it; `.ioFailure`.
  public func finish(poll: () throws(DFMergeError) -> Void = {}) throws(DFMergeError) {
    try poll()
    try seal()
    try poll()
    try publish()
    try Folder.synchronize(Folder.parent(of: path))
  }

  /// Whether every announced byte is written.
  var isComplete: Bool { missingByteCount == 0 }

  /// Checks that nothing is missing, makes the bytes durable and closes the temporary file.
  func seal() throws(DFMergeError) {
    guard isComplete else {
      let position = tensors.indices.first { written[$0] < tensors[$0].byteCount } ?? 0
      let tensor = tensors[position]
      throw DFMergeError(
        .invalidState,
        "Tensor \(quoted(tensor.name)) of \(path) has \(tensor.byteCount) bytes, but only "
          + "\(written[position]) were given; give the rest first.",
        context: ["tensor": tensor.name, "path": path])
    }
    if let blocks { try blocks.writer.seal(blocks.file) }
    try file.seal()
  }

  /// Gives the sealed file its name.
  func publish() throws(DFMergeError) { try file.publish() }

  /// Writes `tensors` to a new file at `path`.
  ///
  /// Time: one pass over the bytes and one `fsync`; no extra memory beyond the header.
  /// - Parameters:
  ///   - metadata: see ``init(path:tensors:metadata:)``.
  ///   - poll: called before every block of 8 MiB; what it throws ends the call, nothing written.
  /// - Throws: as the initialiser and ``append(_:to:poll:)``.
  public static func write(
    _ tensors: [TensorView], to path: String, metadata: [String: String] = [:],
    poll: () throws(DFMergeError) -> Void = {}
  ) throws(DFMergeError) {
    let writer = try SafetensorsWriter(
      path: path, tensors: tensors.map(TensorSpec.init), metadata: metadata)
    for tensor in tensors { try writer.append(tensor.bytes, to: tensor.name, poll: poll) }
    try writer.finish(poll: poll)
  }
}

extension SafetensorsWriter {
  func start(of position: Int) -> Int { layout.offsets[tensors[position].name] ?? 0 }

  func checkRoom(for count: Int, in position: Int) throws(DFMergeError) {
    let tensor = tensors[position]
    guard count <= tensor.byteCount - written[position] else {
      throw DFMergeError(
        .invalidArgument,
        "Tensor \(quoted(tensor.name)) of \(path) has \(tensor.byteCount) bytes; "
          + "\(written[position]) are written and \(count) more were given.",
        context: ["tensor": tensor.name, "path": path])
    }
  }
}
