import DFMergeCore
import DFMergeIO
import Glibc
import Testing

@Suite struct SafetensorsWriterTests {
  @Test func theBytesAreTheReferenceWriters() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.safetensors")
    try SafetensorsWriter.write(
      [
        try tensor("b", .f16, [1], [1, 2]), try tensor("z", .i64, [1], pattern(8)),
        try tensor("a", .f16, [], [3, 4]), try tensor("flag", .bool, [3], [1, 0, 1]),
      ], to: path, metadata: ["note": "\"\u{1}\n/é"])
    // By hand from the rules: dtypes by falling alignment, then names, padded to 8 bytes.
    var header =
      #"{"__metadata__":{"format":"pt","note":"\"\u0001\n/é"},"#
      + #""z":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},"#
      + #""a":{"dtype":"F16","shape":[],"data_offsets":[8,10]},"#
      + #""b":{"dtype":"F16","shape":[1],"data_offsets":[10,12]},"#
      + #""flag":{"dtype":"BOOL","shape":[3],"data_offsets":[12,15]}}"#
    while header.utf8.count % 8 != 0 { header += " " }
    let expected = safetensorsBytes(header, data: pattern(8) + [3, 4, 1, 2, 1, 0, 1])
    #expect(try folder.read("a.safetensors") == expected)
    #expect(try SafetensorsFile(path: path).metadata["note"] == "\"\u{1}\n/é")
  }

  @Test func everyElementIsAligned() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.safetensors")
    for length in 0..<9 {
      let name = String(repeating: "n", count: length)
      try SafetensorsWriter.write(
        [
          try tensor(name + "u", .u8, [3], [1, 2, 3]),
          try tensor(name + "d", .f64, [1], pattern(8)),
          try tensor(name + "h", .bf16, [3], pattern(6)),
          try tensor(name + "s", .f32, [1], pattern(4)),
        ], to: path)
      for tensor in try SafetensorsFile(path: path).tensors {
        let address = UInt(bitPattern: tensor.bytes.baseAddress)
        #expect(address != 0)
        #expect(address % UInt(tensor.dtype.bitWidth / 8) == 0)
      }
    }
  }

  @Test func noTensorsAtAllIsAFile() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.safetensors")
    try SafetensorsWriter.write([], to: path)
    #expect(try SafetensorsFile(path: path).tensors.isEmpty)
  }

  @Test func givenFormatReplacesTheDefault() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.safetensors")
    try SafetensorsWriter.write([], to: path, metadata: ["format": "np", "k": "v"])
    #expect(try SafetensorsFile(path: path).metadata == ["format": "np", "k": "v"])
  }

  @Test func piecesMayComeInAnyOrderOfTensors() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.safetensors")
    let first = pattern(1000, seed: 1)
    let second = pattern(64, seed: 2)
    let writer = try SafetensorsWriter(
      path: path,
      tensors: [
        try TensorSpec(name: "first", dtype: .u8, shape: Shape([1000])),
        try TensorSpec(name: "second", dtype: .f32, shape: Shape([4, 4])),
        try TensorSpec(name: "empty", dtype: .f32, shape: Shape([0])),
      ])
    func append(_ bytes: ArraySlice<UInt8>, _ name: String) throws {
      try Array(bytes).withUnsafeBytes { try writer.append($0, to: name) }
    }
    try append(first[..<1], "first")
    try append(second[...], "second")
    try append(first[1..<999], "first")
    try append([], "empty")
    #expect(try folder.names().allSatisfy { $0.hasPrefix(".dfmerge-") })

    let early = try failure { try writer.finish() }
    #expect(early.code == .invalidState && early.context["tensor"] == "first")
    #expect(early.message.contains("only 999 were given"))
    let unknown = try failure { try append([1], "third") }
    #expect(unknown.code == .missingTensor && unknown.message.contains("'third'"))
    let tooMany = try failure { try append([1, 2], "first") }
    #expect(tooMany.code == .invalidArgument && tooMany.message.contains("2 more were given"))

    try append(first[999...], "first")
    try writer.finish()
    try append([], "first")
    #expect(try failure { try append([1], "first") }.code == .invalidArgument)
    let file = try SafetensorsFile(path: path)
    #expect(Array(try #require(file.tensor(named: "first")).bytes) == first)
    #expect(Array(try #require(file.tensor(named: "second")).bytes) == second)
    #expect(try folder.names() == ["a.safetensors"])
    #expect(try folder.read("a.safetensors").count == writer.byteCount)
  }

  @Test func badNamesAreRefused() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.safetensors")
    let twice = [try bytesTensor("w", 1), try bytesTensor("v", 1), try bytesTensor("w", 2)]
    for (tensors, name) in [(twice, "w"), ([try bytesTensor("__metadata__", 1)], "__metadata__")] {
      let error = try failure { try SafetensorsWriter.write(tensors, to: path) }
      #expect(error.code == .invalidArgument && error.context["tensor"] == name)
    }
    #expect(try folder.names().isEmpty)
  }

  @Test func aReplacedFileStaysReadableWhereItIsMapped_alsoAsTheInput() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.safetensors")
    try SafetensorsWriter.write([try bytesTensor("old", 30_000, seed: 1)], to: path)
    #expect(chmod(path, 0o640) == 0)
    let input = try SafetensorsFile(path: path)
    let old = try #require(input.tensor(named: "old"))
    let renamed = try TensorView(
      name: "new", dtype: .u8, shape: try Shape([20_000]),
      bytes: UnsafeRawBufferPointer(rebasing: old.bytes[10_000...]), owner: old.owner)
    try SafetensorsWriter.write([renamed], to: path)

    let expected = pattern(30_000, seed: 1)
    #expect(Array(old.bytes) == expected)
    let saved = try #require(try SafetensorsFile(path: path).tensor(named: "new"))
    #expect(Array(saved.bytes) == Array(expected[10_000...]))
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o640)
  }

  @Test func aSymbolicLinkIsReplaced_notFollowed() throws {
    let folder = try TemporaryFolder()
    try folder.write("blob", to: "blob")
    #expect(symlink("blob", folder.file("a.safetensors")) == 0)
    try SafetensorsWriter.write([], to: folder.file("a.safetensors"))
    #expect(try folder.read("blob") == Array("blob".utf8))
    #expect(try SafetensorsFile(path: folder.file("a.safetensors")).tensors.isEmpty)
  }
}

/// Whatever goes wrong, no new file and no temporary file stays, and an old file is as it was.
@Suite struct SafetensorsWriterFailureTests {
  /// A folder with an old file; `body` must throw and change nothing.
  private func leavesNothing(_ body: (String) throws -> Void) throws -> DFMergeError {
    let folder = try TemporaryFolder()
    try folder.write("old", to: "a.safetensors")
    let error = try failure { try body(folder.file("a.safetensors")) }
    #expect(try folder.names() == ["a.safetensors"])
    #expect(try folder.read("a.safetensors") == Array("old".utf8))
    return error
  }

  @Test func cancellation() throws {
    // 20 MB are three blocks: stop before the first, the second, the third, and before the end.
    let buffer = try AlignedBuffer(byteCount: 20_000_000)
    let large = try TensorView(
      name: "a", dtype: .u8, shape: Shape([20_000_000]),
      bytes: UnsafeRawBufferPointer(buffer.bytes), owner: buffer)
    for calls in 0..<4 {
      var left = calls
      let error = try leavesNothing { path in
        try SafetensorsWriter.write([large], to: path) {
          () throws(DFMergeError) in
          guard left > 0 else { throw DFMergeError(.cancelled, "Stopped.") }
          left -= 1
        }
      }
      #expect(error.code == .cancelled)
    }
  }

  @Test func aWriterThatIsNeverFinished() throws {
    let error = try leavesNothing { path in
      let writer = try SafetensorsWriter(path: path, tensors: [TensorSpec(bytesTensor("a", 2))])
      try [UInt8(1)].withUnsafeBytes { try writer.append($0, to: "a") }
      throw DFMergeError(.callbackFailed, "The host failed.")
    }
    #expect(error.code == .callbackFailed)
  }

  @Test func theDataGoAwayWhileTheyAreWritten() throws {
    // A mapping of two pages over a file of one: the second page cannot be read, which a write
    // reports, where touching it would be a signal.
    let source = try TemporaryFolder()
    let page = Int(getpagesize())
    let path = try source.write(pattern(page), to: "input")
    let descriptor = open(path, O_RDONLY)
    defer { close(descriptor) }
    let address = try #require(mmap(nil, 2 * page, PROT_READ, MAP_PRIVATE, descriptor, 0))
    try #require(address != MAP_FAILED)
    defer { munmap(address, 2 * page) }
    let error = try leavesNothing { path in
      let lost = try TensorView(
        name: "lost", dtype: .u8, shape: try Shape([2 * page]),
        bytes: UnsafeRawBufferPointer(start: address, count: 2 * page))
      try SafetensorsWriter.write([lost], to: path)
    }
    #expect(error.code == .ioFailure && error.message.contains("input file cut short"))
  }

  @Test func aDiskWithoutRoom() throws {
    let error = try leavesNothing { path in
      // 2^58 bytes are more than any disk has, and are refused before anything is written.
      _ = try SafetensorsWriter(
        path: path, tensors: [TensorSpec(name: "a", dtype: .f32, shape: Shape([1 << 56]))])
    }
    #expect(error.code == .ioFailure && error.message.contains("free space"))
  }

  @Test func sizesThatOverflow() throws {
    let error = try leavesNothing { path in
      let half = try TensorSpec(name: "a", dtype: .u8, shape: Shape([1 << 59]))
      let tensors = try (0..<16).map {
        try TensorSpec(name: "t\($0)", dtype: half.dtype, shape: half.shape)
      }
      _ = try SafetensorsWriter(path: path, tensors: tensors)
    }
    #expect(error.code == .invalidArgument && error.message.contains("64 bits"))
  }

  @Test func targetsThatCannotBeReplaced() throws {
    let folder = try TemporaryFolder()
    #expect(mkdir(folder.file("taken"), 0o700) == 0)
    for path in [folder.file("taken"), "/dev/full"] {
      let error = try failure { try SafetensorsWriter.write([], to: path) }
      #expect(error.code == .ioFailure)
      #expect(error.message.contains("\(path) exists and is not a file"))
    }
    let missing = folder.file("nowhere/a.safetensors")
    let error = try failure { try SafetensorsWriter.write([], to: missing) }
    #expect(error.code == .fileNotFound && error.message.contains(missing))
    #expect(try folder.names() == ["taken"])
  }
}
