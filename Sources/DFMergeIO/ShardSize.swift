import DFMergeCore

/// The most bytes of tensor data that one shard of a checkpoint holds.
public struct ShardSize: Hashable, Sendable, CustomStringConvertible {
  /// The limit, 1 or more.
  public let byteCount: Int

  /// 5 GB, what the Hugging Face hub recommends.
  public static let standard = ShardSize(unchecked: 5_000_000_000)

  /// A limit of `bytes`.
  /// - Throws: `.invalidArgument` for 0 or less.
  public init(bytes: Int) throws(DFMergeError) {
    guard bytes > 0 else {
      throw DFMergeError(
        .invalidArgument, "A shard size of \(bytes) bytes is too small; use 1 or more.")
    }
    byteCount = bytes
  }

  private init(unchecked bytes: Int) { byteCount = bytes }

  /// Reads a limit such as `"5GB"`, `"500MB"`, `"1.5 GiB"`, `"5B"` or `"5000000000"`.
  ///
  /// KB, MB, GB and TB are powers of 1000, as in huggingface_hub; KiB, MiB, GiB and TiB powers of
  /// 1024. K, M, G and T alone are KB to TB. **B is billion**: `"5B"` is 5·10⁹ bytes, as in
  /// mergekit. A number alone counts bytes. Upper and lower case are the same. A fraction is
  /// rounded down to a whole byte.
  /// - Throws: `.invalidArgument` for anything else, for less than a byte, and on overflow.
  public init(parsing text: String) throws(DFMergeError) {
    let failure = DFMergeError(
      .invalidArgument,
      "The shard size \(quoted(text)) is not understood; write a number of bytes from 1 up, or "
        + "one like 5GB, 500MB or 2GiB.")
    let compact = text.filter { $0 != " " }.lowercased()
    let number = compact.prefix { $0.isASCII && $0.isNumber || $0 == "." }
    let parts = number.split(separator: ".", omittingEmptySubsequences: false)
    guard let unit = ShardSize.units[String(compact.dropFirst(number.count))],
      parts.count <= 2, parts.allSatisfy({ !$0.isEmpty && $0.utf8.count <= 18 }),
      let whole = parts.first.flatMap({ Int($0) })
    else { throw failure }
    var fraction = 0
    if parts.count == 2 {
      guard let digits = Int(parts[1]) else { throw failure }
      // 18 digits and a unit below 2^63 give a product below 2^128, and a quotient below `unit`.
      let scale = (0..<parts[1].utf8.count).reduce(1) { scale, _ in scale * 10 }
      let product = digits.multipliedFullWidth(by: unit)
      fraction = scale.dividingFullWidth(product).quotient
    }
    let (bytes, overflow) = whole.multipliedReportingOverflow(by: unit)
    let (sum, overflowOfSum) = bytes.addingReportingOverflow(fraction)
    guard !overflow, !overflowOfSum, sum > 0 else { throw failure }
    byteCount = sum
  }

  /// The limit in bytes, `"5000000000"`.
  public var description: String { String(byteCount) }

  private static let units: [String: Int] = [
    "": 1, "b": 1_000_000_000,
    "k": 1_000, "m": 1_000_000, "g": 1_000_000_000, "t": 1_000_000_000_000,
    "kb": 1_000, "mb": 1_000_000, "gb": 1_000_000_000, "tb": 1_000_000_000_000,
    "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
  ]
}
