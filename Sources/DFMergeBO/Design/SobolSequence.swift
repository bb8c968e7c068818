import DFMergeCore

// Sobol' points with nested uniform (Owen) scrambling, for up to 32 dimensions.
//
// Glossary:  d: dimensions, 1 ... 32   i: index of a point, from 0
//   v [32]: direction numbers of one dimension, v[k] holds bit 31 - k first
//   x_i = XOR of v[k] over the one bits k of i   (natural order, not Gray code: a point depends on
//   its index alone)
// Direction numbers: Joe and Kuo 2008, "Constructing Sobol sequences with better two-dimensional
// projections", table new-joe-kuo-6.21201, first 32 rows.
// Scrambling: the hash of Laine and Karras 2011 on reversed bits, as in Burley 2020, "Practical
// hash-based Owen scrambling": each digit is flipped by a function of the digits above it, which
// keeps the (t, m, s)-net property and makes every point uniform on its own.
struct SobolSequence {
  static let maximumDimension = 32
  private let directions: [UInt32]
  private let seeds: [UInt32]
  let dimension: Int

  /// Dimensions beyond ``maximumDimension`` are not for this sequence; see ``SpaceFilling``.
  init(dimension: Int, random: CounterRandom) {
    self.dimension = min(dimension, SobolSequence.maximumDimension)
    directions = (0..<self.dimension).flatMap(SobolSequence.directionNumbers)
    seeds = (0..<self.dimension).map { random.block(UInt64($0)).0 }
  }

  /// Writes point `index` to `out[offset ..< offset + dimension]`; coordinates lie inside (0, 1).
  func write(_ index: UInt32, to out: inout [Double], at offset: Int) {
    for j in 0..<dimension {
      var x: UInt32 = 0
      var bits = index
      while bits != 0 {
        x ^= directions[j * 32 + bits.trailingZeroBitCount]
        bits &= bits &- 1
      }
      // The middle of the 2⁻³² cell.
      out[offset + j] = (Double(SobolSequence.scramble(x, seeds[j])) + 0.5) * 0x1p-32
    }
  }

  private static func scramble(_ value: UInt32, _ seed: UInt32) -> UInt32 {
    var x = reversed(value)
    x = x &+ seed
    x ^= x &* 0x6c50_b47c
    x ^= x &* 0xb82f_1e52
    x ^= x &* 0xc7af_e638
    x ^= x &* 0x8d22_f6e6
    return reversed(x)
  }

  private static func reversed(_ value: UInt32) -> UInt32 {
    var x = value.byteSwapped
    x = ((x >> 4) & 0x0f0f_0f0f) | ((x & 0x0f0f_0f0f) << 4)
    x = ((x >> 2) & 0x3333_3333) | ((x & 0x3333_3333) << 2)
    return ((x >> 1) & 0x5555_5555) | ((x & 0x5555_5555) << 1)
  }

  /// v[k] = 2^(31-k) m_k, with m_k from the primitive polynomial's recurrence (Joe and Kuo, Eq. 2).
  private static func directionNumbers(_ j: Int) -> [UInt32] {
    guard j > 0 else { return (0..<32).map { 1 << UInt32(31 - $0) } }
    let (polynomial, initial) = table[j - 1]
    let degree = initial.count
    var v = [UInt32](repeating: 0, count: 32)
    for k in 0..<32 {
      if k < degree {
        v[k] = initial[k] << UInt32(31 - k)
        continue
      }
      v[k] = v[k - degree] ^ (v[k - degree] >> UInt32(degree))
      for i in 1..<degree where (polynomial >> UInt32(degree - i)) & 1 == 1 {
        v[k] ^= v[k - i]
      }
    }
    return v
  }

  /// Dimensions 2 ... 32: primitive polynomial as bits, leading and constant terms included, and
  /// the first direction integers m_1, m_2, ...
  private static let table: [(polynomial: UInt32, initial: [UInt32])] = [
    (3, [1]),
    (7, [1, 3]),
    (11, [1, 3, 1]),
    (13, [1, 1, 1]),
    (19, [1, 1, 3, 3]),
    (25, [1, 3, 5, 13]),
    (37, [1, 1, 5, 5, 17]),
    (41, [1, 1, 5, 5, 5]),
    (47, [1, 1, 7, 11, 19]),
    (55, [1, 1, 5, 1, 1]),
    (59, [1, 1, 1, 3, 11]),
    (61, [1, 3, 5, 5, 31]),
    (67, [1, 3, 3, 9, 7, 49]),
    (91, [1, 1, 1, 15, 21, 21]),
    (97, [1, 3, 1, 13, 27, 49]),
    (103, [1, 1, 1, 15, 7, 5]),
    (109, [1, 3, 1, 15, 13, 25]),
    (115, [1, 1, 5, 5, 19, 61]),
    (131, [1, 3, 7, 11, 23, 15, 103]),
    (137, [1, 3, 7, 13, 13, 15, 69]),
    (143, [1, 1, 3, 13, 7, 35, 63]),
    (145, [1, 3, 5, 9, 1, 25, 53]),
    (157, [1, 3, 1, 13, 9, 35, 107]),
    (167, [1, 3, 1, 5, 27, 61, 31]),
    (171, [1, 1, 5, 11, 19, 41, 61]),
    (185, [1, 3, 5, 3, 3, 13, 69]),
    (191, [1, 1, 7, 13, 1, 19, 1]),
    (193, [1, 3, 7, 5, 13, 19, 59]),
    (203, [1, 1, 3, 9, 25, 29, 41]),
    (211, [1, 3, 5, 13, 23, 1, 55]),
    (213, [1, 3, 7, 3, 13, 59, 17]),
  ]
}
