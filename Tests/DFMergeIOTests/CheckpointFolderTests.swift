import DFMergeCore
import DFMergeIO
import Glibc
import Testing

@Suite struct CheckpointFolderTests {
  /// Writes shards `a` {x, y} and `b` {z} and the index `text`.
  private func folder(index text: String) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try SafetensorsWriter.write(
      [try bytesTensor("x", 3, seed: 1), try bytesTensor("y", 2, seed: 2)],
      to: folder.file("a.safetensors"), metadata: ["origin": "a"])
    try SafetensorsWriter.write(
      [try bytesTensor("z", 5, seed: 3)], to: folder.file("b.safetensors"))
    try folder.write(text, to: "model.safetensors.index.json")
    return folder
  }

  private static func index(_ map: [(String, String)]) -> String {
    let entries = map.map { "\"\($0)\": \"\($1)\"" }.joined(separator: ", ")
    return "{\"metadata\": {\"total_size\": 10}, \"weight_map\": {\(entries)}, \"other\": [1]}"
  }

  static let map: [(String, String)] = [
    ("x", "a.safetensors"), ("y", "a.safetensors"), ("z", "b.safetensors"),
  ]

  @Test func shardsAreOneSource() throws {
    let folder = try folder(index: Self.index(Self.map.reversed()))
    let source = try Checkpoint.open(folder.path)
    #expect(source.tensors.map(\.name) == ["x", "y", "z"])
    #expect(source.label == folder.path)
    #expect(Array(try #require(source.tensor(named: "z")).bytes) == pattern(5, seed: 3))
    #expect(source.tensor(named: "w") == nil)
    let checkpoint = try #require(source as? CheckpointFolder)
    #expect(checkpoint.metadata == ["format": "pt", "origin": "a"])
    #expect(checkpoint.files.map(\.path) == ["a", "b"].map { folder.file("\($0).safetensors") })
  }

  @Test func aSingleFileComesBeforeAnIndex() throws {
    let folder = try folder(index: "no JSON at all")
    try SafetensorsWriter.write([try bytesTensor("w", 1)], to: folder.file("model.safetensors"))
    #expect(try CheckpointFolder(path: folder.path).tensors.map(\.name) == ["w"])
    // A trailing slash, and a link as in the Hugging Face cache, change nothing.
    #expect(rename(folder.file("model.safetensors"), folder.file("blob")) == 0)
    #expect(symlink("blob", folder.file("model.safetensors")) == 0)
    #expect(try CheckpointFolder(path: folder.path + "/").tensors.map(\.name) == ["w"])
  }

  @Test func checkpointOpensAFile() throws {
    let folder = try folder(index: Self.index(Self.map))
    let file = try Checkpoint.open(folder.file("b.safetensors"))
    #expect(file is SafetensorsFile && file.tensors.map(\.name) == ["z"])
    let error = try failure {
      _ = try Checkpoint.open(folder.file("model.safetensors.index.json"))
    }
    #expect(error.code == .unsupported && error.message.contains("pass its folder"))
    #expect(try failure { _ = try Checkpoint.open("/nowhere") }.code == .fileNotFound)
    #expect(try failure { _ = try Checkpoint.open("") }.code == .invalidArgument)
  }

  /// What an index says of the shards, and what the error says of it.
  static let misfits: [(map: [(String, String)], says: String)] = [
    (map + [("w", "b.safetensors")], "lists tensors that their shards do not hold: 'w'"),
    ([map[0], map[2]], "does not list: 'y'"),
    ([map[0], map[1], ("z", "a.safetensors")], "do not hold: 'z'"),
    ([("x", "b.safetensors"), map[1], map[2]], "places in another shard: 'x'"),
    (map + [("w", "../b.safetensors")], "'../b.safetensors', which is not the name"),
    (map + [("w", "/etc/passwd")], "'/etc/passwd', which is not the name"),
    (map + [("w", "sub/b.safetensors")], "which is not the name"),
    (map + [("w", "../\u{301}b.safetensors")], "which is not the name"),
    (map + [("w", "..")], "'..', which is not the name"),
    (map + [("w", ".")], "'.', which is not the name"),
    (map + [("w", "")], "'', which is not the name"),
    (map + [("w", "b\\u0000.safetensors")], "which is not the name"),
    (map + [("x", "a.safetensors")], "has the key 'x' twice"),
  ]

  @Test(arguments: misfits)
  func anIndexThatDoesNotFitIsRefused(map: [(String, String)], says: String) throws {
    let folder = try folder(index: Self.index(map))
    let error = try failure { _ = try CheckpointFolder(path: folder.path) }
    #expect(error.code == .invalidFormat)
    #expect(error.message.contains(says), "the message is: \(error.message)")
    #expect(error.message.contains(folder.path))
  }

  @Test func aTensorInTwoShardsIsRefused() throws {
    let folder = try folder(index: Self.index(Self.map))
    try SafetensorsWriter.write(
      [try bytesTensor("z", 5, seed: 3), try bytesTensor("x", 3, seed: 1)],
      to: folder.file("b.safetensors"))
    let error = try failure { _ = try CheckpointFolder(path: folder.path) }
    #expect(error.code == .invalidFormat && error.message.contains("in another shard: 'x'"))
  }

  @Test(arguments: [
    "", "[]", "{}", "{\"weight_map\": []}", "{\"weight_map\": {\"x\": 1}}",
    "{\"weight_map\": null}",
    "{\"weight_map\": {}, \"metadata\": 01}", "{\"weight_map\": {},}", "{\"weight_map\": {}} x",
  ])
  func badIndexTextIsRefused(text: String) throws {
    let folder = try folder(index: text)
    let error = try failure { _ = try CheckpointFolder(path: folder.path) }
    #expect(error.code == .invalidFormat && error.message.contains("The index "))
  }

  @Test func aMissingShardIsNamed() throws {
    let folder = try folder(index: Self.index(Self.map))
    #expect(unlink(folder.file("b.safetensors")) == 0)
    let error = try failure { _ = try CheckpointFolder(path: folder.path) }
    #expect(error.code == .fileNotFound && error.message.contains(folder.file("b.safetensors")))
  }

  @Test func aFolderWithoutWeightsSaysWhatItHolds() throws {
    let empty = try TemporaryFolder()
    let nothing = try failure { _ = try CheckpointFolder(path: empty.path) }
    #expect(nothing.code == .fileNotFound && nothing.message.contains("model.safetensors"))

    try empty.write("", to: "other.safetensors")
    let unnamed = try failure { _ = try CheckpointFolder(path: empty.path) }
    #expect(unnamed.code == .fileNotFound && unnamed.message.contains("'other.safetensors'"))

    try empty.write("", to: "adapter_model.safetensors")
    let adapter = try failure { _ = try CheckpointFolder(path: empty.path) }
    #expect(adapter.code == .unsupported && adapter.message.contains("adapter_config.json"))

    try empty.write("", to: "pytorch_model-00001-of-00002.bin")
    let pickle = try failure { _ = try CheckpointFolder(path: empty.path) }
    #expect(pickle.code == .unsupported && pickle.message.contains("save_pretrained"))

    #expect(symlink("lost blob", empty.file("model.safetensors")) == 0)
    let lost = try failure { _ = try CheckpointFolder(path: empty.path) }
    #expect(lost.code == .fileNotFound && lost.message.contains("/model.safetensors failed"))

    let missing = try failure { _ = try CheckpointFolder(path: empty.file("nowhere")) }
    #expect(missing.code == .fileNotFound && missing.message.contains("nowhere"))
  }
}
