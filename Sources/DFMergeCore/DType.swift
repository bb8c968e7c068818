/// The element type of a tensor, with the spelling that the safetensors format uses.
///
/// The raw values are part of the C ABI (`DFM_DTYPE_*`): they are never renumbered.
/// Only `isMergeable` types take part in arithmetic; every other type is copied, never cast.
/// `f8e4m3` is torch's `float8_e4m3fn`, as in the safetensors format.
public enum DType: Int32, Sendable, CaseIterable, Hashable {
  case f64 = 1
  case f32 = 2
  case f16 = 3
  case bf16 = 4
  case i64 = 10
  case i32 = 11
  case i16 = 12
  case i8 = 13
  case u64 = 14
  case u32 = 15
  case u16 = 16
  case u8 = 17
  case bool = 18
  case c64 = 20
  case f8e4m3 = 30
  case f8e5m2 = 31
  case f8e8m0 = 32
  case f8e4m3fnuz = 33
  case f8e5m2fnuz = 34
  case f6e2m3 = 40
  case f6e3m2 = 41
  case f4 = 42

  /// Bits per element. Sub-byte types are packed; a tensor of them must end on a byte.
  public var bitWidth: Int {
    switch self {
    case .f64, .i64, .u64, .c64: 64
    case .f32, .i32, .u32: 32
    case .f16, .bf16, .i16, .u16: 16
    case .i8, .u8, .bool, .f8e4m3, .f8e5m2, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz: 8
    case .f6e2m3, .f6e3m2: 6
    case .f4: 4
    }
  }

  /// The name in a safetensors header, for example `"BF16"`.
  public var name: String {
    switch self {
    case .f64: "F64"
    case .f32: "F32"
    case .f16: "F16"
    case .bf16: "BF16"
    case .i64: "I64"
    case .i32: "I32"
    case .i16: "I16"
    case .i8: "I8"
    case .u64: "U64"
    case .u32: "U32"
    case .u16: "U16"
    case .u8: "U8"
    case .bool: "BOOL"
    case .c64: "C64"
    case .f8e4m3: "F8_E4M3"
    case .f8e5m2: "F8_E5M2"
    case .f8e8m0: "F8_E8M0"
    case .f8e4m3fnuz: "F8_E4M3FNUZ"
    case .f8e5m2fnuz: "F8_E5M2FNUZ"
    case .f6e2m3: "F6_E2M3"
    case .f6e3m2: "F6_E3M2"
    case .f4: "F4"
    }
  }

  /// The type whose safetensors name is `name`; nil for an unknown name.
  public init?(name: String) {
    guard let match = DType.allCases.first(where: { $0.name == name }) else { return nil }
    self = match
  }

  /// Whether tensors of this type are merged (F64, F32, F16, BF16); the others are copied.
  public var isMergeable: Bool {
    switch self {
    case .f64, .f32, .f16, .bf16: true
    default: false
    }
  }

  /// Bytes of `count` packed elements; nil on overflow, a negative count, or a count of a
  /// sub-byte type that does not end on a byte.
  public func byteCount(elements count: Int) -> Int? {
    guard count >= 0 else { return nil }
    let (bits, overflow) = count.multipliedReportingOverflow(by: bitWidth)
    guard !overflow, bits % 8 == 0 else { return nil }
    return bits / 8
  }
}
