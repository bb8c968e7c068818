/// MT19937 with numpy's legacy conventions, for the paper's preset only.
///
/// `RandomState(seed)` seeds by Knuth's recurrence and turns two 32-bit words into one double of 53
/// bits. Everything else in this module draws from ``CounterRandom``.
/// Source: Matsumoto and Nishimura 1998; conventions: numpy.random.RandomState.random_sample.
struct MersenneTwister {
  private static let length = 624
  private static let middle = 397
  private var state: [UInt32]
  private var position = length

  init(seed: UInt32) {
    var words = [UInt32](repeating: 0, count: MersenneTwister.length)
    words[0] = seed
    for i in 1..<MersenneTwister.length {
      words[i] = 1_812_433_253 &* (words[i - 1] ^ (words[i - 1] >> 30)) &+ UInt32(i)
    }
    state = words
  }

  mutating func nextWord() -> UInt32 {
    if position == MersenneTwister.length { twist() }
    var y = state[position]
    position += 1
    y ^= y >> 11
    y ^= (y << 7) & 0x9d2c_5680
    y ^= (y << 15) & 0xefc6_0000
    y ^= y >> 18
    return y
  }

  /// The next double in [0, 1): (27 upper bits · 2²⁶ + 26 upper bits) / 2⁵³.
  mutating func uniform() -> Double {
    let upper = Double(nextWord() >> 5)
    let lower = Double(nextWord() >> 6)
    return (upper * 67_108_864 + lower) / 9_007_199_254_740_992
  }

  /// The doubles number `start ..< start + count` of the stream of `seed`.
  static func uniforms(seed: UInt32, from start: Int, count: Int) -> [Double] {
    var generator = MersenneTwister(seed: seed)
    for _ in 0..<start { _ = generator.uniform() }
    return (0..<count).map { _ in generator.uniform() }
  }

  private mutating func twist() {
    let n = MersenneTwister.length
    for k in 0..<n {
      let y = (state[k] & 0x8000_0000) | (state[(k + 1) % n] & 0x7fff_ffff)
      let odd: UInt32 = y & 1 == 0 ? 0 : 0x9908_b0df
      state[k] = state[(k + MersenneTwister.middle) % n] ^ (y >> 1) ^ odd
    }
    position = 0
  }
}
