import DFMergeCore
import DFMergeIO
import Glibc
import Testing

/// Tensors read piece by piece from their files.
@Suite struct StoredBytesTests {
  private func read(_ stored: StoredBytes, _ range: Range<Int>) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: range.count)
    try bytes.withUnsafeMutableBytes {
      try stored.storage.read(into: $0, at: stored.offset + range.lowerBound)
    }
    return bytes
  }

  @Test func piecesAreTheMappedBytes_fromSeveralThreads() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.safetensors")
    let tensors = [try bytesTensor("a", 70_001), try bytesTensor("b", 0), try bytesTensor("c", 9)]
    try SafetensorsWriter.write(tensors, to: path)
    let mapped = try SafetensorsFile(path: path)
    let pieces = try Checkpoint.open(path, access: .pieces)
    for original in tensors {
      let name = original.name
      let stored = try #require(mapped.tensor(named: name)?.stored)
      let view = try #require(pieces.tensor(named: name))
      #expect(view.bytes.isEmpty && view.byteCount == original.bytes.count)
      #expect(view.shape == original.shape && view.dtype == original.dtype)
      let alone = try #require(view.stored)
      alone.storage.willRead(offset: alone.offset, count: view.byteCount)
      alone.storage.willRead(offset: -1, count: .max)
      let expected = Array(original.bytes)
      try onThreads(4) { thread in
        for start in stride(from: thread * 500, to: expected.count, by: 2000) {
          let range = start..<min(start + 500, expected.count)
          let pair = (try self.read(alone, range), try self.read(stored, range))
          #expect(pair.0 == Array(expected[range]) && pair.1 == pair.0)
        }
      }
    }
    // What is written from tensors that are only stored would be nothing: their sizes are kept.
    #expect(pieces.tensors.map(TensorSpec.init).map(\.byteCount) == [70_001, 0, 9])
  }

  @Test func foldersAreReadInPiecesToo() throws {
    let folder = try TemporaryFolder()
    let tensors = try (0..<4).map { try bytesTensor("t\($0)", 10 + $0, seed: $0) }
    try CheckpointWriter.write(tensors, toFolder: folder.path, shardSize: ShardSize(bytes: 12))
    let source = try Checkpoint.open(folder.path, access: .pieces)
    for tensor in tensors {
      let stored = try #require(source.tensor(named: tensor.name)?.stored)
      #expect(try read(stored, 0..<tensor.bytes.count) == Array(tensor.bytes))
    }
  }

  @Test func aReplacedOrRemovedFileIsReadToItsEnd() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.safetensors")
    try SafetensorsWriter.write([try bytesTensor("a", 5000, seed: 1)], to: path)
    let stored = try #require(SafetensorsFile(path: path).tensors[0].stored)
    try SafetensorsWriter.write([try bytesTensor("a", 5000, seed: 2)], to: path)
    #expect(try read(stored, 0..<5000) == pattern(5000, seed: 1))
    #expect(unlink(path) == 0)
    #expect(try read(stored, 10..<20) == Array(pattern(5000, seed: 1)[10..<20]))
  }

  /// Cut, lengthened, or written to with the size kept: never a signal, always the file's name.
  @Test(arguments: ["cut", "lengthened", "changed"]) func aChangedFileIsAnError(how: String) throws
  {
    let folder = try TemporaryFolder()
    let path = folder.file("a.safetensors")
    try SafetensorsWriter.write([try bytesTensor("a", 50_000)], to: path)
    let stored = try #require(
      try Checkpoint.open(path, access: .pieces).tensor(named: "a")?.stored)
    #expect(try read(stored, 0..<50_000) == pattern(50_000))
    switch how {
    case "cut": #expect(truncate(path, 20_000) == 0)
    case "lengthened": #expect(truncate(path, 60_000) == 0)
    default:
      // An hour ago: the clock of the file system need not have ticked since the file was made.
      var times = [timespec(), timespec()]
      clock_gettime(CLOCK_REALTIME, &times[0])
      times[0].tv_sec -= 3600
      times[1] = times[0]
      #expect(utimensat(AT_FDCWD, path, times, 0) == 0)
    }
    for range in [0..<100, 30_000..<50_000] {
      let error = try failure { _ = try read(stored, range) }
      #expect(error.code == .ioFailure && error.message.contains(path))
      #expect(error.message.contains("cut or changed"))
    }
  }

  @Test func piecesTakeNoAddressSpace() throws {
    let folder = try TemporaryFolder()
    // A file with a hole of 1 TB: the process's address space is looked at, nothing is read.
    let size = 1 << 40
    let header =
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[\(size)],\"data_offsets\":[0,\(size)]}}"
    let bytes = safetensorsBytes(header)
    let path = try folder.write(bytes, to: "a.safetensors")
    guard truncate(path, off_t(bytes.count + size)) == 0 else {
      // A file system with smaller files shows nothing here; the sizes are tested above.
      return
    }
    let before = try addressSpace()
    let file = try Checkpoint.open(path, access: .pieces)
    #expect(try addressSpace() - before < 1 << 38)
    #expect(file.tensors[0].byteCount == size)
    let stored = try #require(file.tensors[0].stored)
    #expect(try read(stored, size - 3..<size) == [0, 0, 0])
  }

  /// The bytes of address space that this process takes.
  private func addressSpace() throws -> Int {
    let stream = try #require(fopen("/proc/self/statm", "r"))
    defer { fclose(stream) }
    var line = [CChar](repeating: 0, count: 256)
    try #require(fgets(&line, 256, stream) != nil)
    let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
    return try #require(Int(text.split(separator: " ")[0])) * Int(getpagesize())
  }
}
