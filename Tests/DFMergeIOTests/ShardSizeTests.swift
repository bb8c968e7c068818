import DFMergeCore
import DFMergeIO
import Testing

@Suite struct ShardSizeTests {
  @Test(arguments: [
    ("5GB", 5_000_000_000), ("500MB", 500_000_000), ("5B", 5_000_000_000), ("1", 1),
    ("5000000000", 5_000_000_000), ("2GiB", 2 << 30), ("3 kib", 3072), ("1.5GB", 1_500_000_000),
    ("0.5b", 500_000_000), ("7k", 7000), ("7M", 7_000_000), ("2T", 2_000_000_000_000),
    ("1tib", 1 << 40), ("10mb", 10_000_000), ("1.0001kb", 1000), (" 1 MiB ", 1 << 20),
    ("0.999999999999999999TB", 999_999_999_999), ("9000000T", 9_000_000_000_000_000_000),
  ])
  func textIsRead(text: String, bytes: Int) throws {
    #expect(try ShardSize(parsing: text).byteCount == bytes)
  }

  @Test(arguments: [
    "", "GB", "-5GB", "5XB", "5 G B B", "0", "0GB", "0.1", ".5GB", "5.", "1.2.3GB", "1e9", "5GB5",
    "99999999999999999999", "10000000T", "9999999999999GB", "٥GB", "five", "5\0GB", "+5GB",
    "0.0000000000000000001TB",
  ])
  func otherTextIsRefused(text: String) throws {
    let error = try failure { _ = try ShardSize(parsing: text) }
    #expect(error.code == .invalidArgument && error.message.contains("5GB, 500MB"))
  }

  @Test func bytes() throws {
    #expect(try ShardSize(bytes: 1).byteCount == 1)
    #expect(ShardSize.standard.description == "5000000000")
    for bytes in [0, -1, Int.min] {
      #expect(try failure { _ = try ShardSize(bytes: bytes) }.code == .invalidArgument)
    }
  }
}
