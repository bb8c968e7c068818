import DFMergeCore

/// Which tensors go into which file of a checkpoint.
///
/// Greedy in the given order: a tensor joins the current shard while the shard's data stays within
/// the limit, otherwise it opens the next; a tensor above the limit gets a shard of its own and
/// leaves the current one open. One shard is `model.safetensors`, more are
/// `model-00001-of-000NN.safetensors`. Source: `split_state_dict_into_shards_factory` of
/// huggingface_hub.
struct ShardPlan {
  struct Shard {
    let fileName: String
    let tensors: [TensorSpec]
  }

  /// At least one shard, also without any tensor.
  let shards: [Shard]
  /// The bytes of data in all shards.
  let totalByteCount: Int

  var isSharded: Bool { shards.count > 1 }

  /// The file name of the shard of every tensor.
  var fileNameOfTensor: [String: String] {
    var result: [String: String] = [:]
    for shard in shards {
      for tensor in shard.tensors { result[tensor.name] = shard.fileName }
    }
    return result
  }

  /// - Parameter name: of the file where there is one shard.
  /// - Throws: `.invalidArgument` for a name that stands twice, or data that overflow 64 bits.
  init(
    _ tensors: [TensorSpec], limit: ShardSize, name single: String = CheckpointNames.single
  ) throws(DFMergeError) {
    var groups: [[TensorSpec]] = []
    var current: [TensorSpec] = []
    var currentByteCount = 0
    var total = 0
    var names = Set<String>()
    for tensor in tensors {
      let (sum, overflow) = total.addingReportingOverflow(tensor.byteCount)
      guard !overflow, names.insert(tensor.name).inserted else {
        throw DFMergeError(
          .invalidArgument,
          "Tensor \(quoted(tensor.name)) is given twice, or the data up to it take more bytes "
            + "than fit in 64 bits; give every tensor its own name.",
          context: ["tensor": tensor.name])
      }
      total = sum
      if tensor.byteCount > limit.byteCount {
        groups.append([tensor])
        continue
      }
      // Cannot overflow: the current shard's bytes are part of `total`.
      if currentByteCount + tensor.byteCount > limit.byteCount {
        groups.append(current)
        (current, currentByteCount) = ([], 0)
      }
      current.append(tensor)
      currentByteCount += tensor.byteCount
    }
    if !current.isEmpty || groups.isEmpty { groups.append(current) }
    let count = groups.count
    shards = groups.enumerated().map { position, tensors in
      let name =
        count == 1 ? single : CheckpointNames.shard(position + 1, of: count)
      return Shard(fileName: name, tensors: tensors)
    }
    totalByteCount = total
  }
}
