import DFMergeCore

/// `config.json` as text, edited in place: everything but the dtype stays byte for byte.
enum ConfigText {
  /// The members that say the dtype of the weights: transformers 4 and 5.
  private static let keys: Set<String> = ["torch_dtype", "dtype"]

  /// `text` with `dtype` as the value of `torch_dtype` and `dtype` of the outermost object, where
  /// they stand and are a text or null. A text that is no JSON object, and a dtype that PyTorch has
  /// no float of, change nothing.
  static func setting(_ dtype: DType, in text: [UInt8]) -> [UInt8] {
    guard let name = torchName(dtype), let outline = try? JSONValue(parsing: text, what: "a text"),
      outline.objectValue != nil
    else { return text }
    let value = Array("\"\(name)\"".utf8)
    var result: [UInt8] = []
    result.reserveCapacity(text.count + value.count)
    var copied = 0
    for range in valueRanges(in: text) {
      result += text[copied..<range.lowerBound]
      result += value
      copied = range.upperBound
    }
    return result + text[copied...]
  }

  /// What PyTorch calls a dtype, without `torch.`.
  static func torchName(_ dtype: DType) -> String? {
    switch dtype {
    case .f64: "float64"
    case .f32: "float32"
    case .f16: "float16"
    case .bf16: "bfloat16"
    default: nil
    }
  }

  /// Where the values to be replaced lie. `text` is valid JSON.
  private static func valueRanges(in text: [UInt8]) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    var depth = 0
    var position = 0
    while position < text.count {
      switch text[position] {
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
      case UInt8(ascii: "\""):
        let end = endOfString(in: text, from: position)
        let colon = afterSpaces(in: text, from: end)
        if depth == 1, colon < text.count, text[colon] == UInt8(ascii: ":") {
          let key = String(decoding: text[position + 1..<end - 1], as: UTF8.self)
          let start = afterSpaces(in: text, from: colon + 1)
          if keys.contains(key), let end = endOfValue(in: text, from: start) {
            ranges.append(start..<end)
            position = end
            continue
          }
        }
        position = end
        continue
      default: break
      }
      position += 1
    }
    return ranges
  }

  /// The place after a text or `null` that starts at `start`; nil for other values.
  private static func endOfValue(in text: [UInt8], from start: Int) -> Int? {
    guard start < text.count else { return nil }
    if text[start] == UInt8(ascii: "\"") { return endOfString(in: text, from: start) }
    return text[start...].starts(with: "null".utf8) ? start + 4 : nil
  }

  private static func endOfString(in text: [UInt8], from start: Int) -> Int {
    var position = start + 1
    while position < text.count, text[position] != UInt8(ascii: "\"") {
      position += text[position] == UInt8(ascii: "\\") ? 2 : 1
    }
    return min(position + 1, text.count)
  }

  private static func afterSpaces(in text: [UInt8], from start: Int) -> Int {
    let spaces: Set<UInt8> = [0x20, 0x0A, 0x0D, 0x09]
    return text[start...].firstIndex { !spaces.contains($0) } ?? text.count
  }
}
