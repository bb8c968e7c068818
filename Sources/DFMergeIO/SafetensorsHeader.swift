import DFMergeCore

/// The header of a safetensors file, checked against every rule of the format.
///
/// The file is `length: u64 little-endian | header: JSON, length bytes | data`. The header is an
/// object of `name: {"dtype", "shape", "data_offsets": [begin, end]}` and, optionally,
/// `"__metadata__": {text: text}`; offsets count from the start of the data.
/// Source: https://github.com/huggingface/safetensors, README "Format".
package struct SafetensorsHeader: Sendable {
  /// The longest header that readers take, 100 MB: the limit of the reference reader.
  package static let longest = 100_000_000
  /// The bytes before the header.
  package static let prefixByteCount = 8
  /// The key that is not a tensor.
  package static let metadataKey = "__metadata__"

  package struct Entry: Sendable {
    package let name: String
    package let dtype: DType
    package let shape: Shape
    /// Where the elements lie, counted from the start of the data.
    package let range: Range<Int>

    fileprivate var ends: (Int, Int) { (range.lowerBound, range.upperBound) }
  }

  /// The tensors in the order of their data; tensors without data by name between the others.
  package let entries: [Entry]
  package let metadata: [String: String]

  /// The length of the header from the first bytes of a file.
  /// - Throws: `.invalidFormat`.
  package static func length(
    prefix: [UInt8], fileByteCount: Int, path: String
  ) throws(DFMergeError) -> Int {
    func failure(_ fact: String) -> DFMergeError {
      DFMergeError(.invalidFormat, fact, context: ["path": path])
    }
    guard prefix.count == prefixByteCount, fileByteCount >= prefixByteCount else {
      throw failure(
        "\(path) has \(fileByteCount) bytes, too few for a safetensors file; download it again.")
    }
    var length: UInt64 = 0
    for (position, byte) in prefix.enumerated() { length |= UInt64(byte) << (8 * UInt64(position)) }
    let isPossible = length <= UInt64(min(longest, fileByteCount - prefixByteCount))
    // Not before: the length of a header may begin with the very bytes of another format.
    if !isPossible, let format = otherFormat(prefix) {
      throw failure("\(path) is not a safetensors file: it looks like \(format).")
    }
    guard length <= UInt64(longest) else {
      throw failure(
        "\(path) announces a header of \(length) bytes; \(longest) is the most. It is not a "
          + "safetensors file, or it is damaged.")
    }
    guard length <= UInt64(fileByteCount - prefixByteCount) else {
      throw failure(
        "\(path) announces a header of \(length) bytes but has only "
          + "\(fileByteCount - prefixByteCount) after its first \(prefixByteCount); the file is "
          + "cut short, download it again.")
    }
    return Int(length)
  }

  /// Parses and checks `text`, the header, of a file with `dataByteCount` bytes after it.
  /// - Throws: `.invalidFormat` for a broken rule, `.unsupported` for an unknown dtype.
  package init(text: [UInt8], dataByteCount: Int, path: String) throws(DFMergeError) {
    let raw = try StrictJSON.decodeObject(
      RawHeader.self, from: text, what: "The header of \(path)", path: path)
    var entries: [Entry] = []
    entries.reserveCapacity(raw.tensors.count)
    for (name, tensor) in raw.tensors {
      entries.append(try SafetensorsHeader.entry(name, tensor, path: path))
    }
    entries.sort { left, right in
      let (leftEnds, rightEnds) = (left.ends, right.ends)
      return leftEnds == rightEnds
        ? left.name.utf8.lexicographicallyPrecedes(right.name.utf8) : leftEnds < rightEnds
    }
    try SafetensorsHeader.checkCoverage(entries, dataByteCount: dataByteCount, path: path)
    self.entries = entries
    metadata = raw.metadata
  }

  /// What else a file is, told by its first bytes: an error that says so saves a search.
  private static func otherFormat(_ prefix: [UInt8]) -> String? {
    if prefix.starts(with: [0x50, 0x4B, 0x03, 0x04]) || prefix.starts(with: [0x80, 0x02]) {
      return "a PyTorch pickle; load it with torch and save it with safetensors.torch.save_file"
    }
    if prefix.starts(with: Array("GGUF".utf8)) {
      return "a GGUF file; use the checkpoint that it was converted from"
    }
    if prefix == Array("version ".utf8) {
      return "a Git LFS pointer; fetch the real file with 'git lfs pull'"
    }
    return nil
  }
}

extension SafetensorsHeader {
  /// One tensor's own rules: dtype, shape, offsets, and that the three agree.
  private static func entry(
    _ name: String, _ raw: RawTensor, path: String
  ) throws(DFMergeError) -> Entry {
    func failure(_ code: DFMergeError.Code, _ fact: String) -> DFMergeError {
      DFMergeError(
        code, "Tensor \(quoted(name)) of \(path) \(fact).",
        context: ["tensor": name, "path": path])
    }
    guard let dtype = DType(name: raw.dtype) else {
      let known = DType.allCases.map(\.name).joined(separator: ", ")
      throw failure(
        .unsupported,
        "has the dtype \(quoted(raw.dtype)), which is not known; convert it to one of \(known)")
    }
    let shape: Shape
    do {
      shape = try Shape(raw.shape)
    } catch {
      throw failure(
        .invalidFormat,
        "has the shape \(describe(raw.shape)), with a negative size or more elements than fit in "
          + "64 bits; the file is damaged")
    }
    guard raw.offsets.count == 2, raw.offsets[0] >= 0, raw.offsets[0] <= raw.offsets[1] else {
      throw failure(
        .invalidFormat,
        "has the data_offsets \(describe(raw.offsets)); they must be [begin, end] with "
          + "0 <= begin <= end; the file is damaged")
    }
    let range = raw.offsets[0]..<raw.offsets[1]
    guard let byteCount = dtype.byteCount(elements: shape.elementCount) else {
      throw failure(
        .invalidFormat,
        "is \(dtype.name) \(describe(raw.shape)), whose size overflows 64 bits or does not end on "
          + "a whole byte; the file is damaged")
    }
    guard byteCount == range.count else {
      throw failure(
        .invalidFormat,
        "is \(dtype.name) \(describe(raw.shape)), which takes \(byteCount) bytes, but its "
          + "data_offsets [\(range.lowerBound), \(range.upperBound)] span \(range.count); the "
          + "file is damaged")
    }
    return Entry(name: name, dtype: dtype, shape: shape, range: range)
  }

  /// The rule for all tensors together: they cover the data from 0 to its end, each byte once.
  private static func checkCoverage(
    _ entries: [Entry], dataByteCount: Int, path: String
  ) throws(DFMergeError) {
    var end = 0
    var previous = ""
    for entry in entries {
      let begin = entry.range.lowerBound
      guard begin == end else {
        let fact =
          begin > end
          ? "starts at byte \(begin) of the data, but the tensors before it end at \(end): a hole"
          : "starts at byte \(begin) of the data, inside tensor \(quoted(previous)), which ends "
            + "at \(end): an overlap"
        throw DFMergeError(
          .invalidFormat, "Tensor \(quoted(entry.name)) of \(path) \(fact); the file is damaged.",
          context: ["tensor": entry.name, "path": path])
      }
      end = entry.range.upperBound
      previous = entry.name
    }
    guard end == dataByteCount else {
      let remedy =
        end > dataByteCount
        ? "it is cut short, download it again" : "bytes were added at its end, write it again"
      throw DFMergeError(
        .invalidFormat,
        "The tensors of \(path) take \(end) bytes, but the file has \(dataByteCount) after its "
          + "header; \(remedy).",
        context: ["path": path])
    }
  }

  private static func describe(_ numbers: [Int]) -> String {
    let shown = numbers.prefix(16).map(String.init).joined(separator: ", ")
    return numbers.count > 16 ? "[\(shown), ...]" : "[\(shown)]"
  }
}

/// A tensor's entry as it stands in the header. Members that are not known are passed over.
private struct RawTensor: Decodable {
  let dtype: String
  let shape: [Int]
  let offsets: [Int]

  init(from decoder: any Decoder) throws {
    let members = try decoder.container(keyedBy: StrictJSON.AnyKey.self)
    dtype = try members.decode(String.self, forKey: "dtype")
    shape = try members.decode([Int].self, forKey: "shape")
    offsets = try members.decode([Int].self, forKey: "data_offsets")
    try StrictJSON.checkUnknownMembers(members, known: RawTensor.known)
  }

  private static let known: Set<String> = ["dtype", "shape", "data_offsets"]
}

/// The whole header as it stands in the file, in no order.
private struct RawHeader: Decodable {
  private(set) var metadata: [String: String] = [:]
  private(set) var tensors: [(name: String, tensor: RawTensor)] = []

  init(from decoder: any Decoder) throws {
    let members = try decoder.container(keyedBy: StrictJSON.AnyKey.self)
    for key in members.allKeys {
      if key.stringValue == SafetensorsHeader.metadataKey {
        // The reference reader takes null for "no metadata".
        metadata = try members.decodeIfPresent([String: String].self, forKey: key) ?? [:]
      } else {
        tensors.append((key.stringValue, try members.decode(RawTensor.self, forKey: key)))
      }
    }
  }
}
