/// Random numbers that are a pure function of (seed, stream, index): Philox4x32-10.
///
/// Definition:  block(k) = Philox4x32-10(counter = (k, stream), key = seed), four 32-bit words.
/// Any number can be had without the ones before it, so a resumed run, another thread count or
/// another order of work sees the same numbers.
/// Source: Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3";
/// tested against the known answers that were published with it.
public struct CounterRandom: Sendable {
  /// The key: one number per run.
  public let seed: UInt64
  /// The upper half of the counter: one number per purpose, so that draws for different purposes
  /// are independent.
  public let stream: UInt64
  private var next: UInt64 = 0

  public init(seed: UInt64, stream: UInt64) {
    self.seed = seed
    self.stream = stream
  }

  /// A generator whose stream is derived from a name (FNV-1a, 64 bits) and an index.
  public init(seed: UInt64, purpose: String, index: UInt64 = 0) {
    self.init(
      seed: seed, stream: CounterRandom.key(of: purpose) &+ index &* 0x9e37_79b9_7f4a_7c15)
  }

  /// The number that stands for a name: FNV-1a, 64 bits, of its UTF-8.
  public static func key(of name: String) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return hash
  }

  /// Words `4k ..< 4k + 4` of this stream. Cost: ten rounds of two 32-bit multiplications.
  public func block(_ index: UInt64) -> (UInt32, UInt32, UInt32, UInt32) {
    CounterRandom.philox(
      counter: (
        UInt32(truncatingIfNeeded: index), UInt32(truncatingIfNeeded: index >> 32),
        UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)
      ),
      key: (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)))
  }

  /// The next uniform number in [0, 1): 53 bits, one block per number.
  public mutating func uniform() -> Double {
    let words = block(next)
    next &+= 1
    let bits = (UInt64(words.0) << 32 | UInt64(words.1)) >> 11
    return Double(bits) * 0x1p-53
  }

  static func philox(
    counter: (UInt32, UInt32, UInt32, UInt32), key: (UInt32, UInt32)
  ) -> (UInt32, UInt32, UInt32, UInt32) {
    var (c0, c1, c2, c3) = counter
    var (k0, k1) = key
    for _ in 0..<10 {
      let p0 = UInt64(c0) &* 0xD251_1F53
      let p1 = UInt64(c2) &* 0xCD9E_8D57
      (c0, c1, c2, c3) = (
        UInt32(truncatingIfNeeded: p1 >> 32) ^ c1 ^ k0, UInt32(truncatingIfNeeded: p1),
        UInt32(truncatingIfNeeded: p0 >> 32) ^ c3 ^ k1, UInt32(truncatingIfNeeded: p0)
      )
      k0 = k0 &+ 0x9E37_79B9
      k1 = k1 &+ 0xBB67_AE85
    }
    return (c0, c1, c2, c3)
  }
}
