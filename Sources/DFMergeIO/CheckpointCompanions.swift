import DFMergeCore
import Glibc

/// The files of a checkpoint folder that are not its weights: configuration, tokenizer, processors,
/// remote code, licence, card.
///
/// The rule, for `base`:
/// - every regular file at the top (a symbolic link counts as what it points to), except hidden
///   ones, `*.index.json`, and weights or training state by their suffix (``weightSuffixes``);
/// - in folders named `<digits>_<anything>` (`1_Pooling`, `2_Dense`: the modules of
///   sentence-transformers), every regular file that is not hidden. Weights there belong to modules
///   that are not merged, so they are copied.
///
/// Other folders (`.git`, `onnx`, `runs`, ...) are left out.
struct CheckpointCompanions {
  /// Paths relative to the base, in the order of their names.
  let relativePaths: [String]
  /// The folders among them, such as `1_Pooling`.
  let folders: [String]

  /// Suffixes of files that hold weights or the state of training, in any framework.
  static let weightSuffixes = [
    ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".h5", ".msgpack", ".ot", ".onnx",
    ".tflite", ".npz",
  ]

  /// Lists what goes along from `base`.
  /// - Throws: `.fileNotFound`, `.ioFailure`.
  init(base: String) throws(DFMergeError) {
    var paths: [String] = []
    var folders: [String] = []
    for name in try Folder.names(in: base) where !name.hasPrefix(".") {
      switch FileKind.of(Folder.join(base, name)) {
      case .file where CheckpointCompanions.isCompanion(name): paths.append(name)
      case .folder where CheckpointCompanions.isModuleFolder(name):
        folders.append(name)
        let inner = Folder.join(base, name)
        for file in try Folder.names(in: inner) where !file.hasPrefix(".") {
          if FileKind.of(Folder.join(inner, file)) == .file {
            paths.append(Folder.join(name, file))
          }
        }
      default: break
      }
    }
    relativePaths = paths
    self.folders = folders
  }

  static func isCompanion(_ name: String) -> Bool {
    let lowercased = name.lowercased()
    return !lowercased.hasSuffix(".index.json")
      && !weightSuffixes.contains { lowercased.hasSuffix($0) }
  }

  static func isModuleFolder(_ name: String) -> Bool {
    let digits = name.utf8.prefix { (0x30...0x39).contains($0) }
    return !digits.isEmpty && name.utf8.dropFirst(digits.count).first == UInt8(ascii: "_")
  }

  /// A durable copy of `source` that still has to be published as `target`.
  static func stage(
    _ source: String, as target: String, poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) -> AtomicFile {
    let input = try InputFile(path: source)
    let output = try AtomicFile(
      path: target, byteCount: input.byteCount, permissions: input.permissions)
    let block = try AlignedBuffer(byteCount: 1 << 20)
    var done = 0
    while true {
      let count = try input.readSome(into: block.bytes, at: done)
      guard count > 0 else { break }
      try output.write(
        UnsafeRawBufferPointer(rebasing: block.bytes[..<count]), at: done, poll: poll)
      done += count
    }
    guard done == input.byteCount else { throw input.changed }
    try output.seal()
    return output
  }
}
