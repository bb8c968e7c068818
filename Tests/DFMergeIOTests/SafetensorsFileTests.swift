import DFMergeCore
import DFMergeIO
import Glibc
import Testing

@Suite struct SafetensorsFileTests {
  @Test(arguments: DType.allCases)
  func everyDTypeComesBack_scalarEmptyAndOddSizes(dtype: DType) throws {
    let folder = try TemporaryFolder()
    // 4 elements are whole bytes for every width; odd counts only for whole-byte types.
    var shapes = [[0], [3, 0, 2], [4], [2, 4], [1, 12, 1]]
    if dtype.bitWidth >= 8 { shapes += [[], [1], [3], [7, 5], [1, 1, 1, 1]] }
    var tensors: [TensorView] = []
    for (position, shape) in shapes.enumerated() {
      let count = try #require(dtype.byteCount(elements: try Shape(shape).elementCount))
      tensors.append(try tensor("t\(position)", dtype, shape, pattern(count, seed: position)))
    }
    let path = folder.file("a.safetensors")
    try SafetensorsWriter.write(tensors, to: path)

    let file = try SafetensorsFile(path: path)
    #expect(file.tensors.count == tensors.count)
    for original in tensors {
      let read = try #require(file.tensor(named: original.name))
      #expect(read.dtype == dtype && read.shape == original.shape)
      #expect(Array(read.bytes) == Array(original.bytes))
    }
    #expect(file.metadata == ["format": "pt"])
    #expect(file.label == path)
    #expect(try folder.names() == ["a.safetensors"])
  }

  @Test func subByteTensorsThatEndInsideAByteAreRefused() throws {
    let error = try failure { _ = try TensorSpec(name: "q", dtype: .f4, shape: Shape([3])) }
    #expect(error.code == .invalidArgument && error.message.contains("'q'"))
  }

  @Test func orderIsTheDatas_thenTheNames() throws {
    let folder = try TemporaryFolder()
    // In the header in no order; 'e0' and 'e1' are empty and start where 'b' does.
    let header = """
      {"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},
       "e1":{"dtype":"F32","shape":[0],"data_offsets":[4,4]},
       "z":{"dtype":"F32","shape":[],"data_offsets":[0,4]},
       "e0":{"dtype":"I64","shape":[5,0],"data_offsets":[4,4]}}
      """
    let path = try folder.write(
      safetensorsBytes(header, data: [1, 2, 3, 4, 5, 6]), to: "a.safetensors")
    let file = try SafetensorsFile(path: path)
    #expect(file.tensors.map(\.name) == ["z", "e0", "e1", "b"])
    #expect(Array(try #require(file.tensor(named: "z")).bytes) == [1, 2, 3, 4])
    #expect(Array(try #require(file.tensor(named: "b")).bytes) == [5, 6])
    #expect(try #require(file.tensor(named: "z")).shape.dimensions == [])
    #expect(file.tensor(named: "nowhere") == nil)
  }

  @Test(arguments: [
    "{}", "{}   ", " \n\t\r{}", "{\"__metadata__\":{}}", "{\"__metadata__\":null}",
    "{\"__metadata__\":{\"a\":\"b\",\"\":\"\"}}",
    "{\"\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}",
    "{\"a\\u0062\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
    "{\"ключ/键\":{\"shape\":[1,1],\"data_offsets\":[0,1],\"dtype\":\"BOOL\"}}",
    "{\"a\":{\"dtype\":\"U8\",\"x\":{\"dtype\":[2.5e3,null]},\"shape\":[1],\"data_offsets\":[0,1]}}",
    "{\"a\":{\"dtype\":\"F64\",\"shape\":[0,9223372036854775807],\"data_offsets\":[0,0]}}",
    "{\"x\":{\"dtype\":\"F4\",\"shape\":[2],\"data_offsets\":[0,1]}}",
  ])
  func unusualButValidHeadersAreRead(header: String) throws {
    let folder = try TemporaryFolder()
    let hasByte = header.contains("[0,1]")
    let path = try folder.write(
      safetensorsBytes(header, data: hasByte ? [9] : []), to: "a.safetensors")
    let file = try SafetensorsFile(path: path)
    #expect(file.tensors.count == (header.contains("dtype") ? 1 : 0))
    #expect(file.tensors.allSatisfy { Array($0.bytes) == (hasByte ? [9] : []) })
  }

  @Test func escapedNamesAndMetadataAreUnescaped() throws {
    let folder = try TemporaryFolder()
    let header = """
      {"__metadata__":{"k\\n":"\\u00e9\\"\\\\"},
       "a\\u0062\\/":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}
      """
    let path = try folder.write(safetensorsBytes(header, data: [1]), to: "a.safetensors")
    let file = try SafetensorsFile(path: path)
    #expect(file.metadata == ["k\n": "é\"\\"])
    #expect(file.tensors.map(\.name) == ["ab/"])
  }

  @Test func viewsOutliveTheFileObjectAndTheName() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.safetensors")
    try SafetensorsWriter.write([try bytesTensor("a", 100_000)], to: path)
    let view = try #require(try SafetensorsFile(path: path).tensor(named: "a"))
    #expect(unlink(path) == 0)
    #expect(Array(view.bytes) == pattern(100_000))
  }

  @Test func aMissingFileIsNotFound() throws {
    let error = try failure { _ = try SafetensorsFile(path: "/nowhere/model.safetensors") }
    #expect(error.code == .fileNotFound)
    #expect(error.message.contains("/nowhere/model.safetensors"))
    #expect(error.message.contains("No such file"))
    #expect(error.context["path"] == "/nowhere/model.safetensors")
  }

  @Test func whatIsNotARegularFileIsRefused() throws {
    let folder = try TemporaryFolder()
    #expect(mkfifo(folder.file("pipe"), 0o600) == 0)
    for path in [folder.path, "/dev/zero", folder.file("pipe")] {
      let error = try failure { _ = try SafetensorsFile(path: path) }
      #expect(error.code == .ioFailure && error.message.contains(path))
    }
    for path in ["", "a\0b"] {
      #expect(try failure { _ = try SafetensorsFile(path: path) }.code == .invalidArgument)
    }
  }

  /// A header of 640 bytes begins the file with 80 02, as a pickle does.
  @Test(arguments: [640, 640 + 65_536])
  func headerWhoseLengthLooksLikeAnotherFormat_isRead(length: Int) throws {
    let folder = try TemporaryFolder()
    let header = #"{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}"#
    let padded = header + String(repeating: " ", count: length - header.utf8.count)
    let path = try folder.write(safetensorsBytes(padded, data: [1, 2, 3]), to: "a.safetensors")
    let file = try SafetensorsFile(path: path)
    #expect(Array(try #require(file.tensor(named: "a")).bytes) == [1, 2, 3])
  }

  /// A slash before a combining mark is one character with it, and yet ends a folder's name.
  @Test func nameThatBeginsWithACombiningMark() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("new/\u{301}x/\u{301}a.safetensors")
    try CheckpointWriter.write([try bytesTensor("a", 3)], toFolder: folder.file("new/\u{301}x"))
    let writer = try SafetensorsWriter(path: path, tensors: [TensorSpec(bytesTensor("a", 3))])
    // Beside the file, where it can be renamed to it.
    #expect(try folder.names("new/\u{301}x").count == 2)
    try writer.append(bytesTensor("a", 3).bytes, to: "a")
    try writer.finish()
    #expect(try SafetensorsFile(path: path).tensors.count == 1)
    #expect(try folder.names() == ["new"])
  }
}
