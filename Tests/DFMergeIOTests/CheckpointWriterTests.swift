import DFMergeCore
import DFMergeIO
import Glibc
import Testing

@Suite struct CheckpointWriterTests {
  private func tensors(_ sizes: [Int], prefix: String = "t") throws -> [TensorView] {
    try sizes.enumerated().map { try bytesTensor("\(prefix)\($0)", $1, seed: $0) }
  }

  private func expectContents(_ folder: String, _ tensors: [TensorView]) throws {
    let source = try CheckpointFolder(path: folder)
    #expect(source.tensors.map(\.name).sorted() == tensors.map(\.name).sorted())
    for tensor in tensors {
      #expect(Array(try #require(source.tensor(named: tensor.name)).bytes) == Array(tensor.bytes))
    }
  }

  @Test func whatFitsIsOneFile() throws {
    let folder = try TemporaryFolder()
    let names = try CheckpointWriter.write(
      try tensors([5, 0, 7]), toFolder: folder.path, shardSize: ShardSize(bytes: 12),
      metadata: ["by": "test"])
    #expect(names == ["model.safetensors"])
    #expect(try folder.names() == ["model.safetensors"])
    try expectContents(folder.path, try tensors([5, 0, 7]))
    #expect(try CheckpointFolder(path: folder.path).metadata == ["format": "pt", "by": "test"])
  }

  @Test(arguments: [
    // Greedy: a shard closes when the next tensor would exceed 10 bytes; 11 and 25 stand alone.
    ([4, 4, 4, 4], [["t0", "t1"], ["t2", "t3"]]),
    ([6, 5, 4, 1], [["t0"], ["t1", "t2", "t3"]]),
    ([4, 11, 4, 4], [["t1"], ["t0", "t2"], ["t3"]]),
    ([25, 11], [["t0"], ["t1"]]),
    ([10, 0, 1], [["t0", "t1"], ["t2"]]),
    ([0, 11, 0], [["t1"], ["t0", "t2"]]),
  ])
  func shardsAreGreedy(sizes: [Int], expected: [[String]]) throws {
    let folder = try TemporaryFolder()
    let tensors = try tensors(sizes)
    let names = try CheckpointWriter.write(
      tensors, toFolder: folder.path, shardSize: ShardSize(bytes: 10))
    let count = "0000\(expected.count)"
    #expect(names == expected.indices.map { "model-0000\($0 + 1)-of-\(count).safetensors" })
    #expect(try folder.names() == (names + ["model.safetensors.index.json"]).sorted())
    for (name, group) in zip(names, expected) {
      #expect(try SafetensorsFile(path: folder.file(name)).tensors.map(\.name).sorted() == group)
    }
    try expectContents(folder.path, tensors)
  }

  @Test func theIndexIsAsHuggingFaceWritesIt() throws {
    let folder = try TemporaryFolder()
    try CheckpointWriter.write(
      [try bytesTensor("b\"/é", 3), try bytesTensor("a", 2)], toFolder: folder.path,
      shardSize: ShardSize(bytes: 3))
    let text = String(decoding: try folder.read("model.safetensors.index.json"), as: UTF8.self)
    #expect(
      text == """
        {
          "metadata": {
            "total_size": 5
          },
          "weight_map": {
            "a": "model-00002-of-00002.safetensors",
            "b\\"/é": "model-00001-of-00002.safetensors"
          }
        }

        """)
  }

  @Test func noTensorsAtAllIsACheckpoint() throws {
    let folder = try TemporaryFolder()
    #expect(try CheckpointWriter.write([], toFolder: folder.path) == ["model.safetensors"])
    try expectContents(folder.path, [])
  }

  @Test func piecesOfManyShardsMayAlternate() throws {
    let folder = try TemporaryFolder()
    let all = try tensors([8, 8, 8, 0, 8])
    let writer = try CheckpointWriter(
      folder: folder.file("new/deep"), tensors: all.map(TensorSpec.init),
      shardSize: ShardSize(bytes: 8))
    for half in [0..<4, 4..<8] {
      for tensor in all.reversed() where !tensor.bytes.isEmpty {
        try writer.append(
          UnsafeRawBufferPointer(rebasing: tensor.bytes[half]), to: tensor.name)
      }
    }
    #expect(try failure { try writer.append(all[0].bytes, to: "t0") }.code == .invalidArgument)
    #expect(try failure { try writer.append(all[0].bytes, to: "no") }.code == .missingTensor)
    try writer.append(all[3].bytes, to: "t3")
    try writer.finish()
    try writer.finish()
    #expect(writer.fileNames.count == 4)
    try expectContents(folder.file("new/deep"), all)
  }

  /// Saves over a save: `before` and `after` are limits in bytes for 4 tensors of 4 bytes.
  @Test(arguments: [(8, 100), (100, 8), (4, 8), (8, 4), (8, 8), (100, 100)])
  func anOlderSaveLeavesNoTrace(before: Int, after: Int) throws {
    let folder = try TemporaryFolder()
    let kept = ["config.json", "model-1-of-2.safetensors", "modelling.py", "other.safetensors"]
    for name in kept { try folder.write("kept", to: name) }
    try CheckpointWriter.write(
      try tensors([4, 4, 4, 4], prefix: "old"), toFolder: folder.path,
      shardSize: ShardSize(bytes: before))
    let new = try tensors([4, 4, 4, 4], prefix: "new")
    let names = try CheckpointWriter.write(
      new, toFolder: folder.path, shardSize: ShardSize(bytes: after))
    let index = names.count > 1 ? ["model.safetensors.index.json"] : []
    #expect(try folder.names() == (kept + names + index).sorted())
    try expectContents(folder.path, new)
  }

  @Test func savingOverTheInputIsSafe() throws {
    let folder = try TemporaryFolder()
    let original = try tensors([40_000, 40_000, 40_000])
    try CheckpointWriter.write(
      original, toFolder: folder.path, shardSize: ShardSize(bytes: 40_000))
    let input = try CheckpointFolder(path: folder.path)
    try folder.write("{}", to: "config.json")
    try CheckpointWriter.write(
      input.tensors.reversed(), toFolder: folder.path, shardSize: ShardSize(bytes: 40_000),
      copyingFilesFrom: folder.path)
    try expectContents(folder.path, original)
    #expect(try folder.read("config.json") == Array("{}".utf8))
    for tensor in original {
      let view = try #require(input.tensor(named: tensor.name))
      #expect(Array(view.bytes) == Array(tensor.bytes))
    }
  }

  @Test func aReaderDuringASaveSeesOneSaveOrAnError() async throws {
    let folder = try TemporaryFolder()
    let saves = try (0..<2).map { seed in
      try (0..<4).map { try bytesTensor("t\($0)", 64, seed: seed) }
    }
    let limit = try ShardSize(bytes: 64)
    try CheckpointWriter.write(saves[0], toFolder: folder.path, shardSize: limit)
    let path = folder.path
    let writing = Task.detached {
      for round in 1...12 {
        try CheckpointWriter.write(saves[round % 2], toFolder: path, shardSize: limit)
      }
      return true
    }
    var opened = 0
    for _ in 0..<600 {
      let source: CheckpointFolder
      do {
        source = try CheckpointFolder(path: path)
      } catch {
        #expect([.fileNotFound, .ioFailure].contains(error.code), "\(error)")
        continue
      }
      opened += 1
      let seeds = Set(source.tensors.map { $0.bytes.first })
      #expect(seeds.count == 1 && source.tensors.count == 4)
    }
    #expect(try await writing.value)
    #expect(opened > 0)
  }
}

@Suite struct CheckpointCompanionTests {
  @Test func filesOfTheBaseGoAlong() throws {
    let base = try TemporaryFolder()
    let taken = [
      "LICENSE", "README.md", "chat_template.jinja", "config.json", "merges.txt", "modeling_x.py",
      "modules.json", "tokenizer.json", "tokenizer.model",
    ]
    let left = [
      ".gitattributes", "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
      "pytorch_model.bin.index.json", "optimizer.pt", "last.CKPT", "model.gguf", "tf_model.h5",
      "flax_model.msgpack", "consolidated.00.pth", "model.onnx",
    ]
    for name in taken + left { try base.write("base \(name)", to: name) }
    for name in ["1_Pooling", "2_Dense", "onnx", ".cache", "x_1"] {
      #expect(mkdir(base.file(name), 0o700) == 0)
      try base.write("inner", to: "\(name)/model.safetensors")
      try base.write("inner", to: "\(name)/.hidden")
    }
    #expect(mkdir(base.file("1_Pooling/deeper"), 0o700) == 0)
    #expect(symlink("config.json", base.file("linked.json")) == 0)
    #expect(chmod(base.file("modeling_x.py"), 0o755) == 0)
    let large = pattern(1_500_000)
    try base.write(large, to: "vocab.large")

    let target = try TemporaryFolder()
    try target.write("older", to: "config.json")
    try CheckpointWriter.write(
      [try bytesTensor("a", 1)], toFolder: target.path, copyingFilesFrom: base.path)
    let expected =
      taken + ["1_Pooling", "2_Dense", "linked.json", "model.safetensors", "vocab.large"]
    #expect(try target.names() == expected.sorted())
    for name in taken { #expect(try target.read(name) == Array("base \(name)".utf8)) }
    #expect(try target.read("linked.json") == Array("base config.json".utf8))
    #expect(try target.read("vocab.large") == large)
    #expect(try target.names("1_Pooling") == ["model.safetensors"])
    #expect(try target.read("2_Dense/model.safetensors") == Array("inner".utf8))
    var status = stat()
    #expect(stat(target.file("modeling_x.py"), &status) == 0 && status.st_mode & 0o777 == 0o755)
    #expect(try CheckpointFolder(path: target.path).tensors.map(\.name) == ["a"])
  }

  @Test func aBaseThatIsNoFolderIsRefused() throws {
    let folder = try TemporaryFolder()
    for base in [folder.file("nowhere"), try folder.write("", to: "file")] {
      let error = try failure {
        try CheckpointWriter.write([], toFolder: folder.file("out"), copyingFilesFrom: base)
      }
      #expect(error.code == .fileNotFound && error.message.contains(base))
    }
    #expect(try folder.names() == ["file"])
  }
}

@Suite struct CheckpointWriterFailureTests {
  /// Stops a save of 3 shards and 2 companions at every call of `poll`; the folder is as it was.
  @Test func cancellationAtAnyMomentChangesNothing() throws {
    let base = try TemporaryFolder()
    try base.write("new", to: "config.json")
    #expect(mkdir(base.file("1_Pooling"), 0o700) == 0)
    try base.write("new", to: "1_Pooling/config.json")
    let old = [try bytesTensor("a", 9, seed: 9)]
    var calls = 0
    var isDone = false
    while !isDone {
      let folder = try TemporaryFolder()
      try CheckpointWriter.write(old, toFolder: folder.path)
      try folder.write("old", to: "config.json")
      var left = calls
      do {
        try CheckpointWriter.write(
          try (0..<3).map { try bytesTensor("n\($0)", 5) }, toFolder: folder.path,
          shardSize: ShardSize(bytes: 5), copyingFilesFrom: base.path
        ) { () throws(DFMergeError) in
          guard left > 0 else { throw DFMergeError(.cancelled, "Stopped.") }
          left -= 1
        }
        isDone = true
      } catch let error as DFMergeError {
        #expect(error.code == .cancelled)
        #expect(try folder.names() == ["config.json", "model.safetensors"])
        #expect(try folder.read("config.json") == Array("old".utf8))
        #expect(try CheckpointFolder(path: folder.path).tensors.map(\.name) == ["a"])
        calls += 1
      }
    }
    #expect(calls >= 8)
  }

  @Test func foldersThatWereMadeGoAway() throws {
    let folder = try TemporaryFolder()
    let error = try failure {
      let writer = try CheckpointWriter(
        folder: folder.file("a/b/c"), tensors: [TensorSpec(bytesTensor("x", 4))])
      #expect(try folder.names("a/b") == ["c"])
      try writer.finish()
    }
    #expect(error.code == .invalidState && error.message.contains("'x'"))
    #expect(try folder.names().isEmpty)
  }

  @Test func badArgumentsMakeNoFolder() throws {
    let folder = try TemporaryFolder()
    let twice = [try bytesTensor("x", 4), try bytesTensor("x", 4)]
    let error = try failure { try CheckpointWriter.write(twice, toFolder: folder.file("out")) }
    #expect(error.code == .invalidArgument && error.message.contains("'x'"))
    try folder.write("", to: "file")
    let notAFolder = try failure { try CheckpointWriter.write([], toFolder: folder.file("file")) }
    #expect(notAFolder.code == .ioFailure && notAFolder.message.contains("not a folder"))
    #expect(try failure { try CheckpointWriter.write([], toFolder: "") }.code == .invalidArgument)
    #expect(try folder.names() == ["file"])
  }

  @Test func aShardNameThatIsTakenByAFolderChangesNothing() throws {
    let folder = try TemporaryFolder()
    #expect(mkdir(folder.file("model-00002-of-00002.safetensors"), 0o700) == 0)
    let error = try failure {
      try CheckpointWriter.write(
        [try bytesTensor("x", 4), try bytesTensor("y", 4)], toFolder: folder.path,
        shardSize: ShardSize(bytes: 4))
    }
    #expect(error.code == .ioFailure && error.message.contains("exists and is not a file"))
    #expect(try folder.names() == ["model-00002-of-00002.safetensors"])
  }
}
