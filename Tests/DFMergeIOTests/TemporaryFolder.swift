import DFMergeCore
import DFMergeIO
import Glibc
import Testing

/// A new folder that goes away, with all it holds, at the end of a test.
final class TemporaryFolder {
  let path: String

  init() throws {
    let root = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(root)/dfmerge-test-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil, "no temporary folder could be made under \(root)")
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit { TemporaryFolder.remove(path) }

  func file(_ name: String) -> String { path + "/" + name }

  /// Writes a file and returns its path.
  @discardableResult
  func write(_ bytes: some Sequence<UInt8>, to name: String) throws -> String {
    let target = file(name)
    let stream = try #require(fopen(target, "wb"))
    let bytes = Array(bytes)
    #expect(fwrite(bytes, 1, bytes.count, stream) == bytes.count)
    #expect(fclose(stream) == 0)
    return target
  }

  @discardableResult
  func write(_ text: String, to name: String) throws -> String { try write(text.utf8, to: name) }

  func read(_ name: String) throws -> [UInt8] {
    let stream = try #require(fopen(file(name), "rb"))
    defer { fclose(stream) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = fread(&block, 1, block.count, stream), count > 0 {
      bytes += block[..<count]
    }
    return bytes
  }

  /// All names, hidden ones too, sorted.
  func names(_ inner: String = "") throws -> [String] {
    try TemporaryFolder.names(inner.isEmpty ? path : file(inner))
  }

  private static func names(_ path: String) throws -> [String] {
    let stream = try #require(opendir(path))
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let offset = try #require(MemoryLayout<dirent>.offset(of: \.d_name))
      let name = UnsafeRawPointer(entry).advanced(by: offset).assumingMemoryBound(to: CChar.self)
      names.append(String(cString: name))
    }
    return names.filter { $0 != "." && $0 != ".." }.sorted()
  }

  private static func remove(_ path: String) {
    var status = stat()
    if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
      for name in (try? names(path)) ?? [] { remove(path + "/" + name) }
    }
    Glibc.remove(path)
  }
}

/// The bytes of a safetensors file: the length of `header`, `header`, `data`.
func safetensorsBytes(header: some Sequence<UInt8>, data: [UInt8] = []) -> [UInt8] {
  let header = Array(header)
  let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
  return length + header + data
}

func safetensorsBytes(_ header: String, data: [UInt8] = []) -> [UInt8] {
  safetensorsBytes(header: header.utf8, data: data)
}

/// `count` bytes that differ from place to place and from `seed` to `seed`.
func pattern(_ count: Int, seed: Int = 0) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: ($0 &* 31) ^ ($0 >> 8) &+ (seed &* 17) &+ 7) }
}

/// A tensor that owns a copy of `bytes`.
func tensor(
  _ name: String, _ dtype: DType = .u8, _ shape: [Int], _ bytes: [UInt8]
) throws -> TensorView {
  let buffer = try AlignedBuffer(byteCount: bytes.count)
  buffer.bytes.copyBytes(from: bytes)
  return try TensorView(
    name: name, dtype: dtype, shape: try Shape(shape), bytes: UnsafeRawBufferPointer(buffer.bytes),
    owner: buffer)
}

/// A U8 vector of `count` patterned bytes.
func bytesTensor(_ name: String, _ count: Int, seed: Int = 0) throws -> TensorView {
  try tensor(name, .u8, [count], pattern(count, seed: seed))
}

/// A U8 vector of `count` bytes that repeat with a length that no block or page has.
func largeTensor(_ name: String, _ count: Int, seed: Int = 0) throws -> TensorView {
  let buffer = try AlignedBuffer(byteCount: count)
  let part = pattern(min(65_537, count), seed: seed)
  var done = 0
  while done < count {
    let rest = min(part.count, count - done)
    memcpy(buffer.address.advanced(by: done), part, rest)
    done += rest
  }
  return try TensorView(
    name: name, dtype: .u8, shape: Shape([count]), bytes: UnsafeRawBufferPointer(buffer.bytes),
    owner: buffer)
}

/// The error that `body` throws.
func failure(_ body: () throws -> Void) throws -> DFMergeError {
  do {
    try body()
  } catch {
    return try #require(error as? DFMergeError)
  }
  throw NoFailure()
}

struct NoFailure: Error, CustomStringConvertible {
  var description: String { "an error was expected, and none was thrown" }
}
