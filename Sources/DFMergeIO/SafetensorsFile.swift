import DFMergeCore

/// The tensors of one `.safetensors` file, mapped into memory and read when they are touched.
///
/// `TensorView.stored` reads the same bytes piece by piece, without the mapping: a merge from files
/// does that, so that a file that is cut is an error and memory is known. A file stays open, with
/// one descriptor, for as long as one of its tensors is held.
///
/// Opening reads and checks the header only: its cost does not depend on the size of the weights.
/// Every rule of the format is checked, so a tensor's bytes always lie inside the file.
/// `tensors` is in the order of the data in the file; tensors that start and end at the same byte
/// (without elements) are in the order of their names. Addresses may be unaligned.
///
/// Two departures from the reference reader: a name that stands twice is refused (names compare as
/// Swift strings, so composed and decomposed letters are equal), and a whole number written as
/// `4.0` is taken.
///
/// The file may be renamed, removed, or replaced by a rename (as ``SafetensorsWriter`` does) while
/// it is open: the old bytes stay readable. A file that another program *shortens in place* raises
/// SIGBUS when a lost page is touched, as with every mapped file; copy files that others rewrite.
public final class SafetensorsFile: WeightSource {
  /// The path that was opened, as it was given.
  public let path: String
  public let tensors: [TensorView]
  /// The `__metadata__` of the header; empty when there is none.
  public let metadata: [String: String]
  let file: InputFile
  /// The bytes before the data: the length of the header and the header.
  let headByteCount: Int
  private let index: [String: Int]

  public var label: String { path }

  /// How the bytes of a file are reached.
  package enum Access: Sendable {
    /// Through `bytes` and `stored`. Takes address space for the whole file (`ulimit -v` counts
    /// it), and memory only for pages that are touched.
    case mapped
    /// Through `stored` only; `bytes` is empty for every tensor.
    case pieces
  }

  /// Opens and checks a file.
  /// - Throws: `.fileNotFound`; `.ioFailure` (also for a folder or a device); `.invalidFormat` for
  ///   a broken rule, naming the tensor; `.unsupported` for an unknown dtype; `.outOfMemory` when
  ///   the address space has no room for the file.
  public convenience init(path: String) throws(DFMergeError) {
    try self.init(path: path, access: .mapped)
  }

  /// ``init(path:)`` with a choice of access.
  package init(path: String, access: Access) throws(DFMergeError) {
    let file = try InputFile(path: path)
    let prefixCount = SafetensorsHeader.prefixByteCount
    // The header is read, not mapped: what is checked is then what is used, and a file cut short
    // at this moment is an error rather than a signal.
    let prefix = try file.read(count: min(prefixCount, file.byteCount), at: 0)
    let length = try SafetensorsHeader.length(
      prefix: prefix, fileByteCount: file.byteCount, path: path)
    let header = try SafetensorsHeader(
      text: try file.read(count: length, at: prefixCount),
      dataByteCount: file.byteCount - prefixCount - length, path: path)
    let start = prefixCount + length
    let mapping = access == .mapped ? try file.map() : nil
    var tensors: [TensorView] = []
    var index: [String: Int] = [:]
    tensors.reserveCapacity(header.entries.count)
    index.reserveCapacity(header.entries.count)
    for entry in header.entries {
      index[entry.name] = tensors.count
      let stored = StoredBytes(storage: file, offset: start + entry.range.lowerBound)
      if let mapping {
        let data = UnsafeRawBufferPointer(rebasing: mapping.bytes[start...])
        tensors.append(
          try TensorView(
            name: entry.name, dtype: entry.dtype, shape: entry.shape,
            bytes: UnsafeRawBufferPointer(rebasing: data[entry.range]), owner: mapping,
            stored: stored))
      } else {
        tensors.append(
          try TensorView(name: entry.name, dtype: entry.dtype, shape: entry.shape, stored: stored))
      }
    }
    self.path = path
    self.file = file
    headByteCount = start
    self.tensors = tensors
    self.index = index
    metadata = header.metadata
  }

  public func tensor(named name: String) -> TensorView? { index[name].map { tensors[$0] } }
}
