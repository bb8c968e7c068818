import DFMergeCore
import DFMergeIO
import Glibc
import Testing

/// Whatever goes wrong while pieces are written by place, the folder is as it was. One test at a
/// time: two of them lower this process's limit on file sizes, far above what other tests write.
@Suite(.serialized) struct PlacedWriterFailureTests {
  /// Runs `body` with files limited to `byteCount` and the signal for longer ones ignored.
  private func withFileLimit(_ byteCount: Int, _ body: () throws -> Void) throws {
    let resource = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
    var before = rlimit()
    try #require(getrlimit(resource, &before) == 0)
    let handler = signal(SIGXFSZ, SIG_IGN)
    var lowered = before
    lowered.rlim_cur = rlim_t(byteCount)
    try #require(setrlimit(resource, &lowered) == 0)
    defer {
      setrlimit(resource, &before)
      signal(SIGXFSZ, handler)
    }
    try body()
  }

  @Test func aFileOverTheLimitIsRefusedBeforeAnythingIsWritten() throws {
    let folder = try TemporaryFolder()
    try withFileLimit(200_000_000) {
      let error = try failure {
        _ = try CheckpointWriter(
          folder: folder.file("out"),
          tensors: [TensorSpec(name: "a", dtype: .u8, shape: Shape([200_000_001]))]
        ).write(UnsafeRawBufferPointer(start: nil, count: 0), tensor: 0, at: 0)
      }
      #expect(error.code == .ioFailure && error.message.contains("ulimit -f"))
    }
    #expect(try folder.names().isEmpty)
  }

  /// The limit falls while the file is written: the error of the writing thread reaches the callers.
  @Test func aWriteThatFailsLater() throws {
    let folder = try TemporaryFolder()
    let size = 100_000_000
    do {
      let writer = try CheckpointWriter(
        folder: folder.file("out"),
        tensors: [TensorSpec(name: "a", dtype: .u8, shape: Shape([size]))])
      let run = 1_000_000
      let bytes = try AlignedBuffer(byteCount: run)
      let source = UnsafeRawBufferPointer(bytes.bytes)
      try writer.write(source, tensor: 0, at: 0)
      try withFileLimit(64_000_000) {
        let error = try failure {
          for start in stride(from: run, to: size, by: run) {
            try writer.write(source, tensor: 0, at: start)
          }
          try writer.finish()
        }
        #expect(error.code == .ioFailure && error.message.contains("model.safetensors"))
        // Once failed, it stays so.
        #expect(try failure { try writer.finish() }.context["path"] == error.context["path"])
      }
    }
    #expect(try folder.names().isEmpty)
  }

  @Test func aDiskWithoutRoomForAllShards() throws {
    let folder = try TemporaryFolder()
    let error = try failure {
      // Each shard fits; all of them together, 2^58 bytes, fit nowhere.
      _ = try CheckpointWriter(
        folder: folder.file("out"),
        tensors: (0..<16384).map {
          try TensorSpec(name: "t\($0)", dtype: .u8, shape: Shape([1 << 44]))
        }, shardSize: ShardSize(bytes: 1 << 44))
    }
    #expect(error.code == .ioFailure && error.message.contains("free space"))
    #expect(try folder.names().isEmpty)
  }

  /// A disk of 8 MB where one can be mounted; the room for a file is taken when it is started.
  @Test func aSmallDiskIsFullWhenTheFileIsStarted() throws {
    let folder = try TemporaryFolder()
    guard mount("tmpfs", folder.path, "tmpfs", 0, "size=8m") == 0 else {
      // Without the right to mount, the same refusal is shown by the two tests above.
      return
    }
    defer { umount(folder.path) }
    // The first file takes most of the disk, so that the second passes no check.
    let first = try SafetensorsWriter(
      path: folder.file("a.safetensors"), tensors: [TensorSpec(largeTensor("a", 6_000_000))])
    let error = try failure {
      _ = try SafetensorsWriter(
        path: folder.file("b.safetensors"), tensors: [TensorSpec(largeTensor("b", 6_000_000))])
    }
    #expect(error.code == .ioFailure && error.message.contains("b.safetensors"))
    let source = try largeTensor("a", 6_000_000)
    try first.write(source.bytes, tensor: 0, at: 0)
    try first.finish()
    #expect(try folder.names() == ["a.safetensors"])
    let saved = try SafetensorsFile(path: folder.file("a.safetensors"))
    let bytes = try #require(saved.tensor(named: "a")).bytes
    #expect(bytes.elementsEqual(source.bytes))
  }

  @Test func aWriterThatGoesAwayLeavesNothing() throws {
    let folder = try TemporaryFolder()
    for count in [1, 3_000_000, 29_000_000] {
      do {
        let writer = try CheckpointWriter(
          folder: folder.file("a/b"),
          tensors: [TensorSpec(name: "a", dtype: .u8, shape: Shape([30_000_000]))],
          shardSize: .standard)
        let bytes = try AlignedBuffer(byteCount: count)
        try writer.write(UnsafeRawBufferPointer(bytes.bytes), tensor: 0, at: 1_000_000)
      }
      #expect(try folder.names().isEmpty)
    }
  }

  /// Stops `finish` at every call of `poll`: shards, extra files and the edited configuration.
  @Test func cancellationAtAnyMomentChangesNothing() throws {
    let base = try TemporaryFolder()
    try base.write(#"{"dtype": "float32"}"#, to: "config.json")
    let tensors = try (0..<3).map { try bytesTensor("n\($0)", 5) }
    var calls = 0
    var isDone = false
    while !isDone {
      let folder = try TemporaryFolder()
      try CheckpointWriter.write([try bytesTensor("a", 9)], toFolder: folder.path)
      try folder.write("old", to: "README.md")
      var left = calls
      do {
        let writer = try CheckpointWriter(
          folder: folder.path, tensors: tensors.map(TensorSpec.init),
          shardSize: ShardSize(bytes: 5), copyingFilesFrom: base.path)
        try writer.add(Array("new".utf8), as: "README.md")
        writer.setConfigDType(.bf16)
        for (position, tensor) in tensors.enumerated() {
          try writer.write(tensor.bytes, tensor: position, at: 0)
        }
        try writer.finish { () throws(DFMergeError) in
          guard left > 0 else { throw DFMergeError(.cancelled, "Stopped.") }
          left -= 1
        }
        isDone = true
        #expect(try folder.read("README.md") == Array("new".utf8))
        #expect(try folder.read("config.json") == Array(#"{"dtype": "bfloat16"}"#.utf8))
        #expect(try CheckpointFolder(path: folder.path).tensors.count == 3)
      } catch let error as DFMergeError {
        #expect(error.code == .cancelled)
        calls += 1
      }
      if !isDone {
        #expect(try folder.names() == ["README.md", "model.safetensors"])
        #expect(try folder.read("README.md") == Array("old".utf8))
        #expect(try CheckpointFolder(path: folder.path).tensors.map(\.name) == ["a"])
      }
    }
    #expect(calls >= 5)
  }
}
