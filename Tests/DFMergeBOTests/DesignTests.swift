import DFMergeCore
import Testing

@testable import DFMergeBO

@Suite struct DesignTests {
  @Test func mersenneTwister_isNumpysLegacyStream() {
    // numpy.random.RandomState(seed).random_sample(): the paper's initial points.
    let first = [0.37454012, 0.95071431, 0.73199394, 0.59865848, 0.15601864, 0.15599452]
    for (found, expected) in zip(MersenneTwister.uniforms(seed: 42, from: 0, count: 6), first) {
      #expect(abs(found - expected) < 5e-9)
    }
    let zero = [0.5488135, 0.71518937, 0.60276338, 0.54488318, 0.4236548, 0.64589411]
    for (found, expected) in zip(MersenneTwister.uniforms(seed: 0, from: 0, count: 6), zero) {
      #expect(abs(found - expected) < 5e-9)
    }
    // To the last bit, on both sides of the first refill of the state (624 words = 312 doubles).
    let stream = MersenneTwister.uniforms(seed: 42, from: 0, count: 700)
    #expect(stream[0] == 0.3745401188473625)
    #expect(stream[311] == 0.07845638134226596)
    #expect(stream[312] == 0.02535074341545751)
    #expect(stream[699] == 0.4811401018548175)
    #expect(MersenneTwister.uniforms(seed: 42, from: 311, count: 2) == Array(stream[311...312]))
  }

  @Test(arguments: [1, 2, 3, 7, 16, 32])
  func sobol_everyPowerOfTwoFillsEachInterval(d: Int) {
    let points = SpaceFilling.points(
      count: 64, dimension: d, random: CounterRandom(seed: 3, stream: 1))
    for m in [2, 8, 64] {
      for k in 0..<d {
        var cells = [Int](repeating: 0, count: m)
        for i in 0..<m { cells[Int(points[i * d + k] * Double(m))] += 1 }
        #expect(cells == [Int](repeating: 1, count: m), "dimension \(k), \(m) points")
      }
    }
    #expect(points.allSatisfy { $0 > 0 && $0 < 1 })
  }

  @Test func sobol_firstTwoDimensionsFormANet() {
    // A (0, 6, 2)-net: every elementary box of area 1/64 holds exactly one of 64 points.
    for seed in 0..<4 as Range<UInt64> {
      let points = SpaceFilling.points(
        count: 64, dimension: 2, random: CounterRandom(seed: seed, stream: 9))
      for split in 0...6 {
        let (columns, rows) = (1 << split, 1 << (6 - split))
        var cells = [Int](repeating: 0, count: 64)
        for i in 0..<64 {
          let x = Int(points[2 * i] * Double(columns))
          let y = Int(points[2 * i + 1] * Double(rows))
          cells[x * rows + y] += 1
        }
        #expect(cells.allSatisfy { $0 == 1 }, "boxes 1/\(columns) by 1/\(rows)")
      }
    }
  }

  @Test func sobol_unscrambledDirectionNumbersGiveThePublishedPairs() {
    // Any two of the first dimensions, 4096 points on a 16 by 16 grid: balanced to within one per
    // cell's share of 16 that random points (deviation 4) would miss by far.
    let d = 8
    let points = SpaceFilling.points(
      count: 4096, dimension: d, random: CounterRandom(seed: 1, stream: 2))
    for a in 0..<d {
      for b in 0..<a {
        var cells = [Int](repeating: 0, count: 256)
        for i in 0..<4096 {
          cells[Int(points[i * d + a] * 16) * 16 + Int(points[i * d + b] * 16)] += 1
        }
        #expect(cells.allSatisfy { $0 == 16 }, "dimensions \(a), \(b)")
      }
    }
  }

  @Test func scrambling_dependsOnTheSeedAndKeepsTheMean() {
    var sum = 0.0
    var firsts: Set<Double> = []
    for seed in 0..<200 as Range<UInt64> {
      let points = SpaceFilling.points(
        count: 1, dimension: 2, random: CounterRandom(seed: seed, stream: 5))
      sum += points[0] + points[1]
      firsts.insert(points[0])
    }
    #expect(firsts.count == 200)
    #expect(abs(sum / 400 - 0.5) < 0.06)
  }

  @Test func latinHypercube_takesOverBeyondTheTable() {
    let d = 40
    let points = SpaceFilling.points(
      count: 12, dimension: d, random: CounterRandom(seed: 3, stream: 1))
    for k in 0..<d {
      let cells = (0..<12).map { Int(points[$0 * d + k] * 12) }
      #expect(cells.sorted() == Array(0..<12))
    }
  }

  @Test func normals_areBalancedInEachRow() {
    let values = SpaceFilling.normals(
      rows: 5, columns: 32, random: CounterRandom(seed: 1, stream: 1))
    for row in 0..<5 {
      let draws = values[(row * 32)..<(row * 32 + 32)]
      #expect(abs(draws.reduce(0, +)) < 1e-12)
      expectClose(draws.reduce(0) { $0 + $1 * $1 } / 32, 1, relative: 0.06)
    }
  }
}
