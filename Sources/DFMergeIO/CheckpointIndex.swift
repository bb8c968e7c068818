import DFMergeCore

/// The file names of a Hugging Face checkpoint.
package enum CheckpointNames {
  /// All weights in one file.
  package static let single = "model.safetensors"
  /// Which shard holds which tensor.
  package static let index = "model.safetensors.index.json"

  /// The weights of a peft adapter, and what it says of them.
  package static let adapter = "adapter_model.safetensors"
  package static let adapterConfig = "adapter_config.json"

  /// What transformers knows of the architecture.
  package static let config = "config.json"

  /// The name of shard `number` (from 1) of `count`: `model-00001-of-00003.safetensors`.
  static func shard(_ number: Int, of count: Int) -> String {
    func padded(_ value: Int) -> String {
      let digits = String(value)
      return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
    return "model-\(padded(number))-of-\(padded(count)).safetensors"
  }

  /// Whether `name` is a shard's name, of any checkpoint.
  static func isShard(_ name: String) -> Bool {
    guard name.hasPrefix("model-"), name.hasSuffix(".safetensors") else { return false }
    let parts = name.dropFirst("model-".count).dropLast(".safetensors".count)
      .split(separator: "-", omittingEmptySubsequences: false)
    func isNumber(_ part: Substring) -> Bool {
      part.utf8.count >= 5 && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }
    return parts.count == 3 && isNumber(parts[0]) && parts[1] == "of" && isNumber(parts[2])
  }
}

/// `model.safetensors.index.json`: the shard of every tensor.
struct CheckpointIndex {
  /// The file name of the shard, by tensor name.
  let weightMap: [String: String]
  /// The file that was read. While it is open no other file can have its identity, so that one
  /// can see whether it is still in its place.
  let file: InputFile

  /// The longest index that is read; the same limit as for a header.
  private static let longest = SafetensorsHeader.longest

  /// Reads and checks an index. Members other than `weight_map` are passed over.
  /// - Throws: `.invalidFormat` for bad JSON, a repeated name, or a shard outside the folder.
  init(path: String) throws(DFMergeError) {
    let file = try InputFile(path: path)
    guard file.byteCount <= CheckpointIndex.longest else {
      throw DFMergeError(
        .invalidFormat,
        "\(path) has \(file.byteCount) bytes; an index has at most \(CheckpointIndex.longest).",
        context: ["path": path])
    }
    let raw = try StrictJSON.decodeObject(
      Raw.self, from: try file.read(count: file.byteCount, at: 0), what: "The index \(path)",
      path: path)
    for (tensor, shard) in raw.weightMap {
      // A checkpoint from a stranger must not make us read files outside its own folder.
      guard !shard.isEmpty, shard != ".", shard != "..", !shard.utf8.contains(0),
        !shard.utf8.contains(UInt8(ascii: "/"))
      else {
        throw DFMergeError(
          .invalidFormat,
          "\(path) places tensor \(quoted(tensor)) in \(quoted(shard)), which is not the name of a "
            + "file in the same folder; a shard is named without any folder.",
          context: ["path": path, "tensor": tensor])
      }
    }
    weightMap = raw.weightMap
    self.file = file
  }

  /// The text of an index: names sorted, two spaces of indentation, as huggingface_hub writes it.
  static func text(shardOfTensor: [String: String], totalByteCount: Int) -> String {
    let lines = shardOfTensor.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
      .map { "    \(StrictJSON.string($0.key)): \(StrictJSON.string($0.value))" }
    return """
      {
        "metadata": {
          "total_size": \(totalByteCount)
        },
        "weight_map": {
      \(lines.joined(separator: ",\n"))
        }
      }

      """
  }

  private struct Raw: Decodable {
    let weightMap: [String: String]

    init(from decoder: any Decoder) throws {
      let members = try decoder.container(keyedBy: StrictJSON.AnyKey.self)
      weightMap = try members.decode([String: String].self, forKey: "weight_map")
      try StrictJSON.checkUnknownMembers(members, known: ["weight_map"])
    }
  }
}
