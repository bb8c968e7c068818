import DFMergeCore
import DFMergeIO
import Glibc
import Testing

/// Writing by place: any thread, any order, the same file as writing in order.
@Suite struct PlacedWriterTests {
  /// A run of bytes of a tensor.
  struct Piece: Sendable {
    let tensor: Int
    let range: Range<Int>
  }

  /// Tensors of the sizes in which blocks of 2 MiB begin and end, with pieces of 1 to `longest`.
  static func pieces(_ sizes: [Int], longest: Int, seed: UInt64) -> [Piece] {
    var random = Shuffler(seed: seed)
    var pieces: [Piece] = []
    for (tensor, size) in sizes.enumerated() {
      var start = 0
      while start < size {
        let end = min(size, start + Int.random(in: 1...longest, using: &random))
        pieces.append(Piece(tensor: tensor, range: start..<end))
        start = end
      }
    }
    return pieces
  }

  private static let sizes = [9_000_001, 3, 0, 30_000_000, 2 << 20, 5_000_000, 1, 4096]

  private func tensors() throws -> [TensorView] {
    try PlacedWriterTests.sizes.enumerated().map {
      // Names against the order of the list: the file's order is another.
      try largeTensor("t\(9 - $0)", $1, seed: $0)
    }
  }

  private func expectSame(_ one: [UInt8], _ other: [UInt8]) {
    #expect(one.count == other.count && memcmp(one, other, one.count) == 0)
  }

  @Test(arguments: [
    (1, 300_000, false), (8, 300_000, true), (8, 5_000_000, true), (2, 1 << 20, false),
  ])
  func theFileIsTheSequentialWriters(threads: Int, longest: Int, isShuffled: Bool) throws {
    let folder = try TemporaryFolder()
    let tensors = try tensors()
    try SafetensorsWriter.write(tensors, to: folder.file("a.safetensors"))
    var pieces = PlacedWriterTests.pieces(PlacedWriterTests.sizes, longest: longest, seed: 1)
    var random = Shuffler(seed: 2)
    if isShuffled { pieces.shuffle(using: &random) }
    let all = pieces
    let writer = try SafetensorsWriter(
      path: folder.file("b.safetensors"), tensors: tensors.map(TensorSpec.init))
    try onThreads(threads) { thread in
      for position in stride(from: thread, to: all.count, by: threads) {
        let piece = all[position]
        try writer.write(
          UnsafeRawBufferPointer(rebasing: tensors[piece.tensor].bytes[piece.range]),
          tensor: piece.tensor, at: piece.range.lowerBound)
      }
    }
    try writer.finish()
    #expect(try folder.names() == ["a.safetensors", "b.safetensors"])
    expectSame(try folder.read("a.safetensors"), try folder.read("b.safetensors"))
  }

  @Test func withoutThreadsOfItsOwnTheCallersWrite() throws {
    let folder = try TemporaryFolder()
    let tensors = try tensors()
    try SafetensorsWriter.write(tensors, to: folder.file("a.safetensors"))
    var pieces = PlacedWriterTests.pieces(PlacedWriterTests.sizes, longest: 400_000, seed: 3)
    var random = Shuffler(seed: 4)
    pieces.shuffle(using: &random)
    let all = pieces
    let writer = try SafetensorsWriter(
      path: folder.file("b.safetensors"), tensors: tensors.map(TensorSpec.init))
    try onThreads(3) { thread in
      for position in stride(from: thread, to: all.count, by: 3) {
        let piece = all[position]
        try writer.write(
          UnsafeRawBufferPointer(rebasing: tensors[piece.tensor].bytes[piece.range]),
          tensor: piece.tensor, at: piece.range.lowerBound
        ) { () throws(DFMergeError) in try BlockWriter(threadCount: 0) }
      }
    }
    try writer.finish()
    expectSame(try folder.read("a.safetensors"), try folder.read("b.safetensors"))
  }

  @Test(arguments: [1_000_000_000, 9_500_000, 3_000_000])
  func shardsAreTheSequentialWriters(limit: Int) throws {
    let ordered = try TemporaryFolder()
    let placed = try TemporaryFolder()
    let tensors = try tensors()
    let shardSize = try ShardSize(bytes: limit)
    let names = try CheckpointWriter.write(tensors, toFolder: ordered.path, shardSize: shardSize)
    var pieces = PlacedWriterTests.pieces(PlacedWriterTests.sizes, longest: 700_000, seed: 5)
    var random = Shuffler(seed: 6)
    pieces.shuffle(using: &random)
    let all = pieces
    let writer = try CheckpointWriter(
      folder: placed.path, tensors: tensors.map(TensorSpec.init), shardSize: shardSize)
    try onThreads(8) { thread in
      for position in stride(from: thread, to: all.count, by: 8) {
        let piece = all[position]
        try writer.write(
          UnsafeRawBufferPointer(rebasing: tensors[piece.tensor].bytes[piece.range]),
          tensor: piece.tensor, at: piece.range.lowerBound)
      }
    }
    try writer.finish()
    #expect(try placed.names() == ordered.names())
    for name in names { expectSame(try placed.read(name), try ordered.read(name)) }
  }

  @Test func badPlacesAreRefused_andMissingBytesNamed() throws {
    let folder = try TemporaryFolder()
    let writer = try SafetensorsWriter(
      path: folder.file("a.safetensors"),
      tensors: [TensorSpec(bytesTensor("a", 4)), TensorSpec(bytesTensor("b", 0))])
    func write(_ count: Int, _ tensor: Int, _ offset: Int) throws {
      try pattern(count).withUnsafeBytes { try writer.write($0, tensor: tensor, at: offset) }
    }
    for (count, tensor, offset) in [
      (1, 2, 0), (1, -1, 0), (1, 0, 4), (1, 0, -1), (5, 0, 0), (1, 0, .max), (1, 1, 0),
    ] {
      #expect(try failure { try write(count, tensor, offset) }.code == .invalidArgument)
    }
    try write(0, 0, 4)
    try write(2, 0, 2)
    let early = try failure { try writer.finish() }
    #expect(early.code == .invalidState && early.message.contains("'a'"))
    #expect(early.message.contains("only 2 were given"))
    let mixed = try failure {
      try pattern(2).withUnsafeBytes { try writer.append($0, to: "a") }
    }
    #expect(mixed.code == .invalidState)
    try write(2, 0, 0)
    let tooMany = try failure { try write(1, 0, 0) }
    #expect(tooMany.code == .invalidArgument && tooMany.message.contains("1 more were given"))
    try writer.finish()
    let saved = try SafetensorsFile(path: folder.file("a.safetensors"))
    #expect(Array(try #require(saved.tensor(named: "a")).bytes) == [7, 38] + [7, 38])
  }

  @Test func appendingFirstExcludesWritingByPlace() throws {
    let folder = try TemporaryFolder()
    let writer = try SafetensorsWriter(
      path: folder.file("a.safetensors"), tensors: [TensorSpec(bytesTensor("a", 4))])
    try pattern(2).withUnsafeBytes { bytes in
      try writer.append(bytes, to: "a")
      let error = try failure { try writer.write(bytes, tensor: 0, at: 2) }
      #expect(error.code == .invalidState && error.context["tensor"] == "a")
      try writer.append(bytes, to: "a")
    }
    try writer.finish()
  }

  /// The bytes of one run come twice, and those of another, in the same block or not, never.
  @Test(arguments: [3_000_000, 9_000_000]) func overlapsAreNoticed(second: Int) throws {
    let folder = try TemporaryFolder()
    let size = 12_000_000
    let source = try largeTensor("a", size)
    let writer = try SafetensorsWriter(
      path: folder.file("a.safetensors"), tensors: [TensorSpec(source)])
    let run = 100_000
    let error = try failure {
      for start in stride(from: 0, to: size, by: run) {
        let from = start == second ? 3_100_000 : start
        try writer.write(
          UnsafeRawBufferPointer(rebasing: source.bytes[from..<from + run]), tensor: 0, at: from)
      }
      try writer.finish()
    }
    #expect(error.code == .invalidState && error.message.contains("overlap"))
  }
}
