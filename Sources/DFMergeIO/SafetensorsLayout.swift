import DFMergeCore

/// The header of a file to be written and where its tensors lie.
///
/// Tensors stand in the order of the reference writer: dtypes by falling alignment, then names by
/// their UTF-8 bytes. With a header padded to a multiple of 8 bytes, every element is aligned, and
/// the same tensors give the same file as the reference writer gives.
struct SafetensorsLayout {
  /// The first bytes of the file: the length of the header and the header.
  let head: [UInt8]
  /// The tensors in the order of the file.
  let tensors: [TensorSpec]
  /// Where each tensor's data starts, counted from the start of the *file*.
  let offsets: [String: Int]
  /// The size of the whole file.
  let byteCount: Int

  /// - Throws: `.invalidArgument` for a name that stands twice or is reserved, a file that would
  ///   not fit in 64 bits, or a header longer than readers take.
  init(_ specs: [TensorSpec], metadata: [String: String]) throws(DFMergeError) {
    let ranks = Dictionary(
      uniqueKeysWithValues: SafetensorsLayout.dtypeOrder.enumerated().map { ($1, $0) })
    tensors = specs.sorted { left, right in
      left.dtype == right.dtype
        ? left.name.utf8.lexicographicallyPrecedes(right.name.utf8)
        : ranks[left.dtype, default: 0] < ranks[right.dtype, default: 0]
    }
    var members: [String] = []
    if !metadata.isEmpty {
      let pairs = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        .map { "\(StrictJSON.string($0.key)):\(StrictJSON.string($0.value))" }
      members.append("\"\(SafetensorsHeader.metadataKey)\":{\(pairs.joined(separator: ","))}")
    }
    var starts: [String: Int] = [:]
    var end = 0
    for tensor in tensors {
      guard starts.updateValue(end, forKey: tensor.name) == nil,
        tensor.name != SafetensorsHeader.metadataKey
      else {
        throw DFMergeError(
          .invalidArgument,
          "The tensor name \(quoted(tensor.name)) is given twice or is reserved by the format; "
            + "give every tensor its own name.",
          context: ["tensor": tensor.name])
      }
      let (next, overflow) = end.addingReportingOverflow(tensor.byteCount)
      guard !overflow else { throw SafetensorsLayout.tooLarge(tensor.name) }
      let sizes = tensor.shape.dimensions.map(String.init).joined(separator: ",")
      members.append(
        "\(StrictJSON.string(tensor.name)):{\"dtype\":\"\(tensor.dtype.name)\","
          + "\"shape\":[\(sizes)],\"data_offsets\":[\(end),\(next)]}")
      end = next
    }
    var header = Array("{\(members.joined(separator: ","))}".utf8)
    header += Array(repeating: UInt8(ascii: " "), count: (8 - header.count % 8) % 8)
    guard header.count <= SafetensorsHeader.longest else {
      throw DFMergeError(
        .invalidArgument,
        "The names of \(specs.count) tensors need a header of \(header.count) bytes; readers take "
          + "\(SafetensorsHeader.longest). Write smaller shards.")
    }
    let length = UInt64(header.count)
    head = (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * UInt64($0))) } + header
    let (total, overflow) = end.addingReportingOverflow(head.count)
    guard !overflow else { throw SafetensorsLayout.tooLarge(tensors.last?.name ?? "") }
    byteCount = total
    let headCount = head.count
    offsets = starts.mapValues { $0 + headCount }
  }

  private static func tooLarge(_ name: String) -> DFMergeError {
    DFMergeError(
      .invalidArgument, "The tensors up to \(quoted(name)) take more bytes than fit in 64 bits.",
      context: ["tensor": name])
  }

  /// The order of the reference writer: falling alignment, its own order within one alignment.
  static let dtypeOrder: [DType] = [
    .u64, .i64, .f64, .c64, .f32, .u32, .i32, .bf16, .f16, .u16, .i16, .f8e5m2fnuz, .f8e4m3fnuz,
    .f8e8m0, .f8e4m3, .f8e5m2, .i8, .u8, .f6e3m2, .f6e2m3, .f4, .bool,
  ]
}
