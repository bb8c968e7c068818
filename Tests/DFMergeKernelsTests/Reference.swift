import DFMergeCore
import DFMergeKernels
import Testing

/// Numbers in memory of a given element type, `misalignment` bytes off an aligned address, between
/// guard bytes that show writes outside. Encoding and decoding are written one number at a time and
/// share nothing with the library.
final class Numbers {
  let dtype: DType
  let count: Int
  private let memory: UnsafeMutableRawBufferPointer
  private let offset: Int
  private static let guardBytes = 64

  /// Bytes that read as signalling NaNs in float: even a number that is read, left as it is and
  /// written back does not survive as these bits.
  private static func guardByte(_ i: Int) -> UInt8 { i % 2 == 0 ? 0xA0 : 0x7F }

  init(_ values: [Double], _ dtype: DType, misalignment: Int = 0) {
    self.dtype = dtype
    count = values.count
    let bytes = values.count * (dtype.bitWidth / 8)
    offset = Numbers.guardBytes + misalignment
    memory = .allocate(byteCount: offset + bytes + Numbers.guardBytes, alignment: 64)
    for i in memory.indices { memory[i] = Numbers.guardByte(i) }
    for (i, value) in values.enumerated() {
      switch dtype {
      case .f64: store(value, i)
      case .f32: store(Float(value), i)
      case .f16: store(Float16(value), i)
      default: store(Numbers.bf16(value), i)
      }
    }
  }

  /// Room for `count` results.
  convenience init(room count: Int, _ dtype: DType, misalignment: Int = 0) {
    self.init([Double](repeating: -77, count: count), dtype, misalignment: misalignment)
  }

  deinit { memory.deallocate() }

  private func store<T: BitwiseCopyable>(_ value: T, _ i: Int) {
    memory.storeBytes(of: value, toByteOffset: offset + i * MemoryLayout<T>.size, as: T.self)
  }

  private var start: UnsafeMutableRawPointer {
    UnsafeMutableRawPointer(rebasing: memory[offset...])
  }

  var elements: Elements { Elements(pointer: UnsafeRawPointer(start), dtype: dtype) }
  var mutable: MutableElements { MutableElements(pointer: start, dtype: dtype) }

  /// The bytes of the elements.
  var bytes: [UInt8] { Array(memory[offset..<(offset + count * (dtype.bitWidth / 8))]) }

  /// Whether nothing outside the elements has been written.
  var isIntact: Bool {
    let end = offset + count * (dtype.bitWidth / 8)
    return memory.indices.allSatisfy {
      (offset..<end).contains($0) || memory[$0] == Numbers.guardByte($0)
    }
  }

  subscript(i: Int) -> Double {
    switch dtype {
    case .f64: load(i, Double.self)
    case .f32: Double(load(i, Float.self))
    case .f16: Double(load(i, Float16.self))
    default: Double(Float(bitPattern: UInt32(load(i, UInt16.self)) << 16))
    }
  }

  var values: [Double] { (0..<count).map { self[$0] } }

  private func load<T: BitwiseCopyable>(_ i: Int, _ type: T.Type) -> T {
    memory.loadUnaligned(fromByteOffset: offset + i * MemoryLayout<T>.size, as: type)
  }

  /// The bf16 nearest to `x`, by exact comparison of the distances to its two neighbours.
  static func bf16(_ x: Double) -> UInt16 {
    let sign: UInt16 = x.sign == .minus ? 0x8000 : 0
    if x.isNaN { return 0x7FC0 }
    let value = { (bits: UInt16) in
      // One above the largest finite number stands for 2^128, where infinity begins to be nearer.
      bits == 0x7F80 ? 0x1p128 : Double(Float(bitPattern: UInt32(bits) << 16))
    }
    let magnitude = abs(x)
    if magnitude >= 0x1p128 { return sign | 0x7F80 }
    var low: UInt16 = 0
    var high: UInt16 = 0x7F80
    while high - low > 1 {
      let middle = low + (high - low) / 2
      if value(middle) <= magnitude { low = middle } else { high = middle }
    }
    let below = magnitude - value(low)
    let above = value(high) - magnitude
    let takesHigh = above < below || (above == below && low & 1 == 1)
    return sign | (takesHigh ? high : low)
  }

  /// `x` rounded to `dtype`.
  static func rounded(_ x: Double, to dtype: DType) -> Double {
    switch dtype {
    case .f64: x
    case .f32: Double(Float(x))
    case .f16: Double(Float16(x))
    default: Double(Float(bitPattern: UInt32(bf16(x)) << 16))
    }
  }
}

extension UnsafeMutableRawPointer {
  /// The start of a slice that is known not to be empty.
  fileprivate init(rebasing slice: Slice<UnsafeMutableRawBufferPointer>) {
    let buffer = UnsafeMutableRawBufferPointer(rebasing: slice)
    self = buffer.baseAddress ?? UnsafeMutableRawPointer(bitPattern: 64).unsafelyUnwrapped
  }
}

let mergeable: [DType] = [.f64, .f32, .f16, .bf16]

/// Numbers of ordinary size, fixed by `seed`.
func sample(_ count: Int, seed: UInt64, scale: Double = 1) -> [Double] {
  var random = CounterRandom(seed: seed, stream: 1)
  return (0..<count).map { _ in (random.uniform() * 2 - 1) * scale }
}

/// Fisher values: not negative, over many orders of magnitude, a tenth of them 0.
func fisherSample(_ count: Int, seed: UInt64) -> [Double] {
  var random = CounterRandom(seed: seed, stream: 2)
  return (0..<count).map { _ in
    let magnitude = random.uniform()
    let isZero = random.uniform() < 0.1
    return isZero ? 0 : magnitude * magnitude * magnitude * magnitude
  }
}

/// Same bits, except that any NaN equals any other.
func same(_ a: Double, _ b: Double) -> Bool {
  (a.isNaN && b.isNaN) || a.bitPattern == b.bitPattern
}

/// Checks that `out` holds `expected`, rounded once to its type, and that nothing else was written.
func expectRounded(
  _ out: Numbers, _ expected: [Double], _ comment: @autoclosure () -> String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  let wrong = (0..<out.count).first {
    !same(out[$0], Numbers.rounded(expected[$0], to: out.dtype))
  }
  if let i = wrong {
    Issue.record(
      "\(comment()): element \(i) is \(out[i]), not \(expected[i]) rounded to \(out.dtype.name)",
      sourceLocation: sourceLocation)
  }
  #expect(out.isIntact, "\(comment()): wrote outside", sourceLocation: sourceLocation)
}

/// A poll that lets `ParallelFor` go on.
func neverStop() throws(DFMergeError) {}
