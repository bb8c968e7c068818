import DFMergeCore
import DFMergeIO
import Testing

/// One file that must be refused: how it is called, its bytes, and what the error must say.
struct HostileFile: Sendable, CustomTestStringConvertible {
  let name: String
  let bytes: [UInt8]
  let says: String
  var code = DFMergeError.Code.invalidFormat
  /// The tensor that the error must name.
  var tensor: String?
  var testDescription: String { name }

  /// A file with this header and this many bytes of data.
  init(
    _ name: String, _ header: String, data count: Int = 0, says: String,
    code: DFMergeError.Code = .invalidFormat, tensor: String? = nil
  ) {
    self.init(
      name, bytes: safetensorsBytes(header, data: pattern(count)), says: says, code: code,
      tensor: tensor)
  }

  init(
    _ name: String, bytes: [UInt8], says: String, code: DFMergeError.Code = .invalidFormat,
    tensor: String? = nil
  ) {
    self.name = name
    self.bytes = bytes
    self.says = says
    self.code = code
    self.tensor = tensor
  }

  /// A header with the one tensor `a`.
  static func one(_ dtype: String, _ shape: String, _ offsets: String) -> String {
    "{\"a\":{\"dtype\":\"\(dtype)\",\"shape\":\(shape),\"data_offsets\":\(offsets)}}"
  }

  /// A header with U8 tensors over the given ranges.
  static func ranges(_ ranges: [(String, Int, Int)]) -> String {
    let tensors = ranges.map { name, begin, end in
      "\"\(name)\":{\"dtype\":\"U8\",\"shape\":[\(end - begin)],\"data_offsets\":[\(begin),\(end)]}"
    }
    return "{\(tensors.joined(separator: ","))}"
  }
}

@Suite struct SafetensorsHostileTests {
  @Test(arguments: prefixes + json + members + numbers + coverage)
  func isRefused_withCodeAndReason(file: HostileFile) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(file.bytes, to: "bad.safetensors")
    let error = try failure { _ = try SafetensorsFile(path: path) }
    #expect(error.code == file.code)
    #expect(error.message.contains(file.says), "the message is: \(error.message)")
    #expect(error.message.contains(path))
    #expect(error.context["path"] == path)
    if let tensor = file.tensor {
      #expect(error.context["tensor"] == tensor)
      #expect(error.message.contains("'\(tensor)'"))
    }
  }

  @Test func theCorpusIsLarge() {
    let count =
      Self.prefixes.count + Self.json.count + Self.members.count + Self.numbers.count
      + Self.coverage.count
    #expect(count >= 60)
  }

  static let prefixes: [HostileFile] = [
    .init("empty file", bytes: [], says: "has 0 bytes, too few"),
    .init("seven bytes", bytes: [2, 0, 0, 0, 0, 0, 0], says: "has 7 bytes, too few"),
    .init("no header", bytes: [2, 0, 0, 0, 0, 0, 0, 0], says: "header of 2 bytes but has only 0"),
    .init("header of 0 bytes", bytes: safetensorsBytes(""), says: "does not start with '{'"),
    .init(
      "header longer than the file", bytes: [3, 0, 0, 0, 0, 0, 0, 0, 0x7B, 0x7D],
      says: "header of 3 bytes but has only 2"),
    .init(
      "header at the limit but not there", bytes: [0, 0xE1, 0xF5, 0x05, 0, 0, 0, 0, 0x7B],
      says: "header of 100000000 bytes but has only 1"),
    .init(
      "header above the limit", bytes: [1, 0xE1, 0xF5, 0x05, 0, 0, 0, 0, 0x7B],
      says: "100000001 bytes; 100000000 is the most"),
    .init(
      "largest length", bytes: Array(repeating: 0xFF, count: 16),
      says: "18446744073709551615 bytes"),
    .init(
      "length with the sign bit", bytes: [0, 0, 0, 0, 0, 0, 0, 0x80, 0x7B, 0x7D],
      says: "9223372036854775808 bytes"),
    .init(
      "torch zip", bytes: [0x50, 0x4B, 3, 4] + pattern(20), says: "looks like a PyTorch pickle"),
    .init("torch pickle", bytes: [0x80, 2] + pattern(20), says: "looks like a PyTorch pickle"),
    .init("GGUF", bytes: Array("GGUF".utf8) + pattern(20), says: "looks like a GGUF file"),
    .init(
      "LFS pointer", bytes: Array("version https://git-lfs.github.com/spec/v1\n".utf8),
      says: "git lfs pull"),
  ]

  static let json: [HostileFile] = [
    .init("only spaces", "    ", says: "does not start with '{'"),
    .init("an array", "[]", says: "does not start with '{'"),
    .init("a string", "\"{}\"", says: "does not start with '{'"),
    .init("NUL before the brace", "\0{}", says: "does not start"),
    .init("NUL padding", "{}\0\0", says: "not UTF-8"),
    .init(
      "UTF-16", bytes: safetensorsBytes(header: [0x7B, 0, 0x7D, 0]), says: "not UTF-8"),
    .init(
      "byte order mark", bytes: safetensorsBytes(header: [0xEF, 0xBB, 0xBF, 0x7B, 0x7D]),
      says: "does not start with '{'"),
    .init(
      "bad UTF-8", bytes: safetensorsBytes(header: [0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D]),
      says: "not UTF-8"),
    .init(
      "overlong UTF-8", bytes: safetensorsBytes(header: [0x7B, 0x22, 0xC0, 0x80, 0x22, 0x7D]),
      says: "not UTF-8"),
    .init("not closed", "{", says: "is not valid"),
    .init("text after the object", "{} x", says: "is not valid"),
    .init("two objects", "{}{}", says: "is not valid"),
    .init("trailing comma", "{\"__metadata__\":{},}", says: "comma stands before"),
    .init(
      "trailing comma in a shape", HostileFile.one("U8", "[4, ]", "[0,4]"), data: 4,
      says: "comma stands before"),
    .init(
      "bad number in an unknown field",
      "{\"a\":{\"dtype\":\"U8\",\"x\":01,\"shape\":[0],\"data_offsets\":[0,0]}}", says: "'a' 'x'"),
    .init(
      "bad escape in an unknown field",
      "{\"a\":{\"dtype\":\"U8\",\"x\":\"\\q\",\"shape\":[0],\"data_offsets\":[0,0]}}",
      says: "'a' 'x'"),
    .init("single quotes", "{'a':1}", says: "is not valid"),
    .init("comment", "{/**/}", says: "is not valid"),
    .init("control character in a name", "{\"a\n\":1}", says: "is not valid"),
    .init("lone surrogate", "{\"\\ud800\":{}}", says: "is not valid"),
    .init("short escape at the end", "{\"\\u12", says: "is not valid"),
    .init("backslash at the end", "{\"\\", says: "is not valid"),
    .init(
      "deep nesting", "{\"a\":" + String(repeating: "[", count: 200_000), says: "is not valid"),
    .init(
      "deep and closed",
      "{\"a\":" + String(repeating: "{\"a\":", count: 5000) + "1"
        + String(repeating: "}", count: 5001),
      says: "is not valid"),
    .init(
      "name twice", HostileFile.ranges([("w", 0, 1), ("w", 1, 2)]), data: 2,
      says: "has the key 'w' twice"),
    .init(
      "name twice, the same entry", HostileFile.ranges([("w", 0, 1), ("w", 0, 1)]), data: 1,
      says: "has the key 'w' twice"),
    .init(
      "name twice, one escaped", HostileFile.ranges([("w", 0, 1), ("\\u0077", 0, 1)]), data: 1,
      says: "has the key 'w' twice"),
    .init(
      "dtype twice",
      "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", data: 1,
      says: "has the key 'dtype' twice"),
    .init(
      "metadata twice", "{\"__metadata__\":{\"a\":\"b\"},\"__metadata__\":{}}",
      says: "has the key '__metadata__' twice"),
    .init(
      "metadata key twice", "{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}",
      says: "has the key 'a' twice"),
    .init(
      "key twice in an unknown field",
      "{\"a\":{\"dtype\":\"U8\",\"x\":[{\"k\":1,\"k\":1}],\"shape\":[0],\"data_offsets\":[0,0]}}",
      says: "has the key 'k' twice"),
  ]

  static let members: [HostileFile] = [
    .init("metadata number", "{\"__metadata__\":{\"a\":1}}", says: "'__metadata__' 'a'"),
    .init("metadata null", "{\"__metadata__\":{\"a\":null}}", says: "'__metadata__' 'a'"),
    .init("metadata object", "{\"__metadata__\":{\"a\":{}}}", says: "'__metadata__' 'a'"),
    .init("metadata array", "{\"__metadata__\":[]}", says: "'__metadata__'"),
    .init("tensor null", "{\"a\":null}", says: "'a'"),
    .init("tensor number", "{\"a\":1}", says: "'a'"),
    .init("tensor as array", "{\"a\":[\"U8\",[0],[0,0]]}", says: "'a'"),
    .init("tensor empty", "{\"a\":{}}", says: "'dtype' is missing"),
    .init(
      "no shape", "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,0]}}", says: "'shape' is missing"),
    .init(
      "no offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[0]}}", says: "'data_offsets' is missing"),
    .init(
      "dtype null", "{\"a\":{\"dtype\":null,\"shape\":[0],\"data_offsets\":[0,0]}}",
      says: "'a' 'dtype'"),
    .init(
      "dtype a number", "{\"a\":{\"dtype\":3,\"shape\":[0],\"data_offsets\":[0,0]}}",
      says: "'a' 'dtype'"),
    .init(
      "dtype unknown", HostileFile.one("F8_E4M3FN", "[1]", "[0,1]"), data: 1,
      says: "'F8_E4M3FN', which is not known", code: .unsupported, tensor: "a"),
    .init(
      "dtype in lower case", HostileFile.one("f32", "[1]", "[0,4]"), data: 4,
      says: "'f32', which is not known", code: .unsupported, tensor: "a"),
    .init(
      "dtype empty", HostileFile.one("", "[1]", "[0,4]"), data: 4, says: "is not known",
      code: .unsupported, tensor: "a"),
    .init("shape a number", HostileFile.one("U8", "4", "[0,4]"), data: 4, says: "'a' 'shape'"),
    .init("shape of text", HostileFile.one("U8", "[\"4\"]", "[0,4]"), data: 4, says: "'shape' [0]"),
    .init(
      "shape with null", HostileFile.one("U8", "[null]", "[0,4]"), data: 4, says: "'shape' [0]"),
  ]

  static let numbers: [HostileFile] = [
    .init("negative size", HostileFile.one("U8", "[-1]", "[0,0]"), says: "[-1]", tensor: "a"),
    .init(
      "two negative sizes", HostileFile.one("U8", "[-2,-2]", "[0,4]"), data: 4, says: "[-2, -2]",
      tensor: "a"),
    .init("half a size", HostileFile.one("U8", "[0.5]", "[0,1]"), data: 1, says: "is not valid"),
    .init(
      "size above 64 bits", HostileFile.one("U8", "[18446744073709551616]", "[0,0]"),
      says: "is not valid"),
    .init("size 1e400", HostileFile.one("U8", "[1e400]", "[0,0]"), says: "is not valid"),
    .init(
      "product above 64 bits", HostileFile.one("U8", "[4294967296,4294967296]", "[0,0]"),
      says: "more elements than fit", tensor: "a"),
    .init(
      "bits above 64 bits", HostileFile.one("F64", "[1152921504606846976]", "[0,0]"),
      says: "overflows 64 bits", tensor: "a"),
    .init(
      "product that wraps to 0", HostileFile.one("F32", "[4611686018427387904,4]", "[0,0]"),
      says: "more elements than fit", tensor: "a"),
    .init("one offset", HostileFile.one("U8", "[1]", "[0]"), data: 1, says: "[begin, end]"),
    .init("three offsets", HostileFile.one("U8", "[1]", "[0,1,1]"), data: 1, says: "[0, 1, 1]"),
    .init("negative begin", HostileFile.one("U8", "[5]", "[-1,4]"), data: 4, says: "[-1, 4]"),
    .init("end before begin", HostileFile.one("U8", "[4]", "[4,0]"), data: 4, says: "[4, 0]"),
    .init(
      "offset above 64 bits", HostileFile.one("U8", "[1]", "[0,18446744073709551615]"), data: 1,
      says: "is not valid"),
    .init(
      "size and offsets disagree", HostileFile.one("F32", "[2]", "[0,4]"), data: 4,
      says: "takes 8 bytes, but its data_offsets [0, 4] span 4", tensor: "a"),
    .init(
      "scalar without bytes", HostileFile.one("F32", "[]", "[0,0]"), says: "takes 4 bytes",
      tensor: "a"),
    .init(
      "empty with bytes", HostileFile.one("F32", "[0]", "[0,4]"), data: 4, says: "takes 0 bytes",
      tensor: "a"),
    .init(
      "F4 ends inside a byte", HostileFile.one("F4", "[3]", "[0,2]"), data: 2,
      says: "whole byte", tensor: "a"),
    .init(
      "F6 ends inside a byte", HostileFile.one("F6_E2M3", "[1]", "[0,1]"), data: 1,
      says: "whole byte", tensor: "a"),
  ]

  static let coverage: [HostileFile] = [
    .init(
      "does not start at 0", HostileFile.ranges([("a", 1, 3)]), data: 3, says: "a hole",
      tensor: "a"),
    .init(
      "hole", HostileFile.ranges([("a", 0, 2), ("b", 3, 4)]), data: 4,
      says: "starts at byte 3 of the data, but the tensors before it end at 2", tensor: "b"),
    .init(
      "overlap", HostileFile.ranges([("a", 0, 3), ("b", 2, 4)]), data: 4,
      says: "inside tensor 'a'", tensor: "b"),
    .init(
      "two names for one range", HostileFile.ranges([("a", 0, 4), ("b", 0, 4)]), data: 4,
      says: "an overlap", tensor: "b"),
    .init(
      "empty tensor inside another",
      HostileFile.ranges([("a", 0, 4), ("b", 2, 2)]), data: 4, says: "an overlap", tensor: "b"),
    .init(
      "empty tensor after the end", HostileFile.ranges([("a", 0, 4), ("b", 5, 5)]), data: 4,
      says: "a hole", tensor: "b"),
    .init(
      "file cut short", HostileFile.ranges([("a", 0, 8)]), data: 7,
      says: "take 8 bytes, but the file has 7"),
    .init(
      "one byte too many", HostileFile.ranges([("a", 0, 8)]), data: 9,
      says: "bytes were added at its end"),
    .init("data without tensors", "{}", data: 1, says: "take 0 bytes, but the file has 1"),
    .init(
      "far beyond the file",
      HostileFile.one("U8", "[9223372036854775807]", "[0,9223372036854775807]"), data: 4,
      says: "overflows 64 bits", tensor: "a"),
    .init(
      "beyond the file", HostileFile.one("U8", "[1000000000000000]", "[0,1000000000000000]"),
      data: 4, says: "cut short"),
  ]

  @Test func aNameCannotBreakTheMessage() throws {
    let folder = try TemporaryFolder()
    let name = String(repeating: "x", count: 5000)
    let header = "{\"\\u0000\\u001b\(name)\":{\"dtype\":\"?\",\"shape\":[],\"data_offsets\":[0,0]}}"
    let path = try folder.write(safetensorsBytes(header), to: "bad.safetensors")
    let message = try failure { _ = try SafetensorsFile(path: path) }.message
    #expect(message.utf8.allSatisfy { $0 >= 0x20 } && message.utf8.count < 1000)
  }
}
