import DFMergeCore

/// Tells one checkpoint from another without reading all of it.
///
/// Definition: CRC-32 over, for each weight file in the order of the names, its size, its header
/// and the first 4 KiB of at most 1024 of its tensors, evenly spread over the file. It notices
/// other files, other shapes and other training; it does not notice a change further inside a
/// tensor, and is no proof against one made on purpose. Cost: at most 4 MiB read per file, beside
/// the header.
package struct InputFingerprint: Sendable, Equatable {
  /// The size of all weight files.
  package let byteCount: Int
  package let fileCount: Int
  package let checksum: UInt32

  private static let sampledTensors = 1024
  private static let sampleByteCount = 4096

  /// The fingerprint of a checkpoint on disk; nil for any other source.
  /// - Throws: `.ioFailure`, `.outOfMemory`.
  package static func of(_ source: any WeightSource) throws(DFMergeError) -> InputFingerprint? {
    let files: [SafetensorsFile]
    switch source {
    case let folder as CheckpointFolder: files = folder.files
    case let file as SafetensorsFile: files = [file]
    case let adapter as AdapterFolder: files = [adapter.file]
    default: return nil
    }
    var sum = CRC32()
    var total = 0
    for file in files {
      total += file.file.byteCount
      sum.add(Array("\(file.file.byteCount) ".utf8))
      sum.add(try file.file.read(count: file.headByteCount, at: 0))
      let step = (file.tensors.count + sampledTensors - 1) / sampledTensors
      for position in stride(from: 0, to: file.tensors.count, by: max(step, 1)) {
        let tensor = file.tensors[position]
        guard let stored = tensor.stored else { continue }
        let count = min(tensor.byteCount, sampleByteCount)
        sum.add(try file.file.read(count: count, at: stored.offset))
      }
    }
    return InputFingerprint(byteCount: total, fileCount: files.count, checksum: sum.value)
  }

  /// The members `bytes`, `files`, `crc32` and, in words, what the sum covers.
  package var json: JSONValue {
    let digits = String(checksum, radix: 16)
    return .object([
      "bytes": .int(Int64(byteCount)), "files": .int(Int64(fileCount)),
      "crc32": .string(String(repeating: "0", count: 8 - digits.count) + digits),
      "covers": .string(
        "size and header of every weight file, first \(InputFingerprint.sampleByteCount) bytes of "
          + "at most \(InputFingerprint.sampledTensors) tensors of each"),
    ])
  }
}
