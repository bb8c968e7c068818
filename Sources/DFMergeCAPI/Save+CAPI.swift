import CDFMergeShims
import DFMergeCore
import DFMergeIO

/// Writes tensors to disk: one .safetensors file, or a Hugging Face folder.
///
/// Files are complete or absent: everything is written under temporary names, synced and renamed,
/// so an older file at the same place survives any failure.
///
/// Options, a JSON object:
///   "metadata"         object of strings for the files' __metadata__, beside "format": "pt";
///   "shard_size"       folders: most bytes per file, a number or a text such as "5GB" (the
///   default); "copy_files_from"  folders: a checkpoint folder whose other files (config,
///   tokenizer) are copied.
///
/// - Parameter weights: [in] [borrowed] The tensors, written in the set's own order.
/// - Parameter path: [in] [borrowed] A path that ends in ".safetensors" is a file; any other is a
///   folder, made where it is missing.
/// - Parameter options: [in] [borrowed] [nullable] JSON object; NULL for defaults.
/// - Parameter cancel: [in] [borrowed] [nullable] A stop flag that is polled while writing.
/// - Returns: DFM_OK, DFM_ERROR_NULL_POINTER, DFM_ERROR_WRONG_HANDLE, DFM_ERROR_INVALID_ARGUMENT,
///   DFM_ERROR_INVALID_JSON, DFM_ERROR_UNKNOWN_NAME, DFM_ERROR_INVALID_OPTION,
///   DFM_ERROR_FILE_NOT_FOUND, DFM_ERROR_IO_FAILURE or DFM_ERROR_CANCELLED.
@_cdecl("dfm_weights_save")
public func dfm_weights_save(
  _ weights: DFMWeightsRef?, _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<CChar>?,
  _ cancel: DFMCancelRef?
) -> dfm_status {
  guarded { () throws(DFMergeError) in
    let tensors = try Handle.get(weights, as: WeightsBox.self, argument: "weights").source().tensors
    let path = try text(path, "path")
    let flag = try CancelBox.optional(cancel)
    let isFile = path.hasSuffix(".safetensors")
    let settings = try SaveOptions(try parseOptions(options), isFile: isFile)
    let poll = { () throws(DFMergeError) in
      if flag?.isRaised ?? false {
        throw DFMergeError(.cancelled, "Saving '\(path)' was stopped; nothing was written.")
      }
    }
    if isFile {
      try SafetensorsWriter.write(tensors, to: path, metadata: settings.metadata, poll: poll)
    } else {
      try CheckpointWriter.write(
        tensors, toFolder: path, shardSize: settings.shardSize, metadata: settings.metadata,
        copyingFilesFrom: settings.copyFilesFrom, poll: poll)
    }
  }
}

/// The options of `dfm_weights_save`.
private struct SaveOptions {
  var metadata: [String: String] = [:]
  var shardSize = ShardSize.standard
  var copyFilesFrom: String?

  init(_ json: JSONValue, isFile: Bool) throws(DFMergeError) {
    guard json != .null else { return }
    guard let members = json.objectValue else {
      throw DFMergeError(.invalidOption, "The options of saving must be a JSON object.")
    }
    for (name, value) in members.sorted(by: { $0.key < $1.key }) {
      switch name {
      case "metadata":
        let texts = value.objectValue?.compactMapValues(\.stringValue)
        guard let texts, texts.count == value.objectValue?.count else {
          throw SaveOptions.invalid(name, "an object of strings")
        }
        metadata = texts
      case "shard_size" where !isFile:
        if let text = value.stringValue {
          shardSize = try ShardSize(parsing: text)
        } else if let bytes = value.intValue {
          shardSize = try ShardSize(bytes: bytes)
        } else {
          throw SaveOptions.invalid(name, "a number of bytes or a text such as \"5GB\"")
        }
      case "copy_files_from" where !isFile:
        guard let folder = value.stringValue else { throw SaveOptions.invalid(name, "a path") }
        copyFilesFrom = folder
      default:
        throw DFMergeError(
          .unknownName,
          "There is no option '\(name)' of saving a \(isFile ? "file" : "folder"); it takes: "
            + (isFile ? "metadata." : "metadata, shard_size, copy_files_from."),
          context: ["option": name])
      }
    }
  }

  private static func invalid(_ name: String, _ expected: String) -> DFMergeError {
    DFMergeError(
      .invalidOption, "Option '\(name)' of saving takes \(expected).", context: ["option": name])
  }
}
